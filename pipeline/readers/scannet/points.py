"""The points of a ScanNet scan without anything else, for a trained network."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.readers.ply import read_points
from pipeline.readers.scannet.annotations import read_segments


def read_points_only(
    files: Mapping[str, Path], superpoints: bool
) -> tuple[
    NDArray[np.float64], NDArray[np.uint8], NDArray[np.float64] | None, NDArray[np.int32] | None
]:
    """Positions (N, 3) in metres, colours and normals (N, 3) of the group "cloud" of `scan_files`.

    "mesh" may be a PLY file of any program, and no other file is needed. Normals are None where
    the file has neither normals nor faces. Last come the superpoints (N,) of "segments"; None
    where they are not asked for or there is no such file. Raises `BadInput`.
    """
    xyz, rgb, normal = read_points(files["mesh"])
    wanted = superpoints and "segments" in files
    return xyz, rgb, normal, read_segments(files["segments"], len(xyz)) if wanted else None
