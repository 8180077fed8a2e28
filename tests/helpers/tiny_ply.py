"""A small scan as a PLY file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement


def points(count: int = 3000) -> NDArray[np.float64]:
    """Points (N, 3) of a floor and a wall of 3 m by 3 m."""
    rng = np.random.default_rng(0)
    xyz = rng.uniform(0, 3, (count, 3))
    xyz[: count // 2, 2], xyz[count // 2 :, 0] = 0, 0
    return xyz


def write_ply(
    path: Path,
    xyz: NDArray[np.float64],
    colors: bool = True,
    normal: NDArray[np.float64] | None = None,
) -> Path:
    """Write points (N, 3), by default with colours that depend on their positions."""
    names = [(axis, "f4") for axis in "xyz"]
    if colors:
        names += [(c, "u1") for c in ("red", "green", "blue")]
    if normal is not None:
        names += [(f"n{axis}", "f4") for axis in "xyz"]
    vertex = np.zeros(len(xyz), names)
    for axis, column in zip("xyz", xyz.T, strict=True):
        vertex[axis] = column
        if normal is not None:
            vertex[f"n{axis}"] = normal[:, "xyz".index(axis)]
        if not colors:
            continue
        vertex[{"x": "red", "y": "green", "z": "blue"}[axis]] = np.rint(80 * column.clip(0, 3))
    PlyData([PlyElement.describe(vertex, "vertex")]).write(str(path))
    return path
