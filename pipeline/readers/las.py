"""Points of LAS and LAZ files, read by laspy."""

from pathlib import Path

import laspy
import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.colors import read_colors
from pipeline.readers.points import Points, measured

SAVE = "save it again as LAS, LAZ or PLY"

_MOST = 200  # points in a byte of a LAZ file: far more than any has


def read_las(path: Path) -> Points:
    """The points of a LAS or LAZ file, with z up; there are no normals.

    Colours are those of `read_colors`; a file without has `intensity`. Raises `BadInput` for a
    damaged file.
    """
    try:
        with laspy.open(path) as file:
            header = file.header
            width = 1 / _MOST if header.are_points_compressed else header.point_format.size
            if header.point_count * width > path.stat().st_size:
                raise ValueError(f"it claims {header.point_count} points")
            las = file.read()
        xyz = np.asarray(las.xyz, np.float64)
        names = set(las.point_format.dimension_names)
        wanted = [name for name in ("red", "green", "blue", "intensity") if name in names]
        columns = {name: np.asarray(las[name]) for name in wanted}
    except Exception as error:  # laspy and its decoders have many exceptions
        raise BadInput(path, f"is not a readable cloud ({error!s:.200})", SAVE) from None
    if not len(xyz):
        raise BadInput(path, "has no point", SAVE)
    if not columns.get("intensity", np.zeros(1)).any():
        columns.pop("intensity", None)  # a place that nothing was written into
    there = measured(xyz, path)
    kept = {name: column[there] for name, column in columns.items()} or {"x": xyz[there, 0]}
    return Points(xyz[there], read_colors(kept, path), None, np.flatnonzero(~there))
