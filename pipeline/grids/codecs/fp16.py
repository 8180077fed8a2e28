"""The codec `fp16`: vectors as the tower gave them, rounded to half precision.

An entry has `grid` f16 (F, h, w, d).
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.grids.rounding import stored
from pipeline.store import arrays

PER_FRAME = ("grid",)  # arrays with a part for each frame


def check(depth: int) -> None:
    """Vectors of any number of numbers can be stored."""


class Writer:
    """Writes the grids of one scan."""

    def __init__(self, out: zarr.Group, shape: tuple[int, int, int, int]) -> None:
        """Make the arrays for a scan of `shape` (F, h, w, d)."""
        self._grid = arrays.create(out, "grid", shape, np.float16, 1, compress=False)

    def put(self, first: int, cells: NDArray[np.float16]) -> None:
        """Write the grids (B, h, w, d) of the frames from `first` on."""
        self._grid[first : first + len(cells)] = cells

    def finish(self, pool: ThreadPoolExecutor) -> None:
        """Nothing is left to write."""


class Stored:
    """The grids of one entry."""

    def __init__(self, entry: zarr.Group) -> None:
        """Raises `LookupError`, `TypeError` or `ValueError` where the arrays are not there."""
        self._grid = stored(entry, "grid", np.float16)
        self.shape: tuple[int, ...] = self._grid.shape

    def cells(self, frame: int, need: Any) -> NDArray[np.float16]:
        """The vectors (n, d) of those cells of a frame that `need`, an index of h w, picks."""
        grid = np.asarray(self._grid[frame])
        return grid.reshape(-1, grid.shape[-1])[need]
