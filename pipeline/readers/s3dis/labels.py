"""The dense ground truth of a room: class and instance are the names of the annotated files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.s3dis.point_text import count_points
from pipeline.scan import Labels

OTHER = "clutter"  # the class of stairs and of all names that are not a class


def read_labels(files: Mapping[str, Path], classes: Sequence[Mapping[str, Any]]) -> Labels:
    """Read the group "labels" of `scan_files`, in the order of the cloud.

    A file `chair_2.txt` is one chair. Its class is found by name in `classes`; a name that is not
    there counts as clutter (-1 where clutter is not a class). Instances count from 1 in the
    alphabetical order of the file names. Raises `BadInput`.
    """
    if not files:
        raise BadInput("labels", "the room has no Annotations/*.txt", "download them")
    index = {each["name"]: i for i, each in enumerate(classes)}
    other = index.get(OTHER, -1)
    label = [index.get(path.name.partition("_")[0].lower(), other) for path in files.values()]
    counts = [count_points(path) for path in files.values()]
    return Labels(
        label=np.repeat(np.array(label, np.int16), counts),
        instance=np.repeat(np.arange(1, len(counts) + 1, dtype=np.int32), counts),
    )
