"""The dense ground truth of a room: class and instance are the names of the annotated files."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.s3dis.objects import class_of
from pipeline.readers.s3dis.point_text import count_points
from pipeline.scan import Labels

OTHER = "clutter"  # the class of stairs and of all names that are not a class
NAMES = (
    *("ceiling", "floor", "wall", "beam", "column", "window", "door", "table", "chair", "sofa"),
    *("bookcase", "board", "clutter", "stairs"),
)  # of the releases


def read_labels(files: Mapping[str, Path], classes: Sequence[Mapping[str, Any]]) -> Labels:
    """Read the group "labels" of `scan_files`, in the order of the cloud.

    A file `chair_2.txt` is one chair. Its class is found by name in `classes`, in whatever case; a
    name that is not there counts as clutter (-1 where clutter is not a class), with a warning if no
    release has such objects, or if a class has a name that none of the room's objects and of the
    releases has. Instances count from 1 in the alphabetical order of the file names. Raises
    `BadInput`.
    """
    if not files:
        raise BadInput("labels", "the room has no Annotations/*.txt", "download them")
    index = {each["name"].lower(): i for i, each in enumerate(classes)}
    other = index.get(OTHER, -1)
    names = [class_of(path) for path in files.values()]
    for path, name in zip(files.values(), names, strict=True):
        if name not in index and name not in NAMES:
            counted = "counts as clutter" if OTHER in index else "has no label"
            shown = name or path.stem
            warnings.warn(f"{path}: {shown!r} is no class of S3DIS; it {counted}.", stacklevel=2)
    unknown = [each["name"] for each in classes if each["name"].lower() not in (*NAMES, *names)]
    if unknown:
        what = f"the objects of S3DIS have other names than {', '.join(unknown)}"
        warnings.warn(f"{what}: no point is labelled so.", stacklevel=2)
    label = [index.get(name, other) for name in names]
    counts = [count_points(path) for path in files.values()]
    return Labels(
        label=np.repeat(np.array(label, np.int16), counts),
        instance=np.repeat(np.arange(1, len(counts) + 1, dtype=np.int32), counts),
    )
