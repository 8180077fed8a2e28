"""The points of a room of S3DIS without anything else, for a trained network."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.points import Points
from pipeline.readers.s3dis import point_text
from pipeline.scan import Cloud


def read_points_only(files: Mapping[str, Path], superpoints: bool) -> Cloud:
    """The points of the group "cloud" of `scan_files`.

    The text has neither normals nor superpoints. A room of the aligned release is not turned back,
    so its angle is not needed: a network trained on rotated rooms does not depend on it. Raises
    `BadInput`.
    """
    texts = [path for name, path in files.items() if name != "angles"]
    if not texts:
        raise BadInput("cloud", "the room has no text cloud", "download S3DIS")
    point_text.all_aligned(texts)
    parts = [point_text.read_points(path) for path in texts]
    xyz, rgb = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Points(xyz, rgb).cloud()
