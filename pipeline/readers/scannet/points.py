"""The points of a ScanNet scan without anything else, for a trained network."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.readers.ply import read_ply
from pipeline.readers.scannet.annotations import read_segments
from pipeline.scan import Cloud


def read_points_only(files: Mapping[str, Path], superpoints: bool) -> Cloud:
    """The points of the group "cloud" of `scan_files`.

    "mesh" may be a PLY file of any program, and no other file is needed. Normals are unknown where
    the file has neither normals nor faces; superpoints are those of "segments", unknown where they
    are not asked for or there is no such file. Raises `BadInput`.
    """
    points = read_ply(files["mesh"])
    if not (superpoints and "segments" in files):
        return points.cloud()
    segment = read_segments(files["segments"], len(points.xyz) + len(points.left_out))
    return points.cloud(np.delete(segment, points.left_out))
