"""The codec `int8`: vectors as 8-bit integers with a scale each, in a half of the bytes of fp16.

An entry has `code` i8 (F, h, w, d) and `scale` f16 (F, h, w): a vector is its code times its scale.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.grids.rounding import stored, to_float32, to_int8
from pipeline.store import arrays

PER_FRAME = ("code", "scale")  # arrays with a part for each frame


def check(depth: int) -> None:
    """Vectors of any number of numbers can be stored."""


class Writer:
    """Writes the grids of one scan."""

    def __init__(self, out: zarr.Group, shape: tuple[int, int, int, int]) -> None:
        """Make the arrays for a scan of `shape` (F, h, w, d)."""
        self._out = out
        self._code = arrays.create(out, "code", shape, np.int8, 1, compress=False)
        self._scale = np.zeros(shape[:3], np.float16)

    def put(self, first: int, cells: NDArray[np.float16]) -> None:
        """Write the grids (B, h, w, d) of the frames from `first` on."""
        frames = slice(first, first + len(cells))
        self._code[frames], self._scale[frames] = to_int8(cells)

    def finish(self, pool: ThreadPoolExecutor) -> None:
        """Write the scales."""
        arrays.write(self._out, "scale", self._scale, compress=False)


class Stored:
    """The grids of one entry."""

    def __init__(self, entry: zarr.Group) -> None:
        """Raises `LookupError`, `TypeError` or `ValueError` where the arrays are not there."""
        self._code = stored(entry, "code", np.int8)
        self.shape: tuple[int, ...] = self._code.shape
        self._scale = to_float32(entry, "scale", np.float16, self.shape[:3])

    def cells(self, frame: int, need: Any) -> NDArray[np.float32]:
        """The vectors (n, d) of those cells of a frame that `need`, an index of h w, picks."""
        code = np.asarray(self._code[frame])
        code = code.reshape(-1, code.shape[-1])[need]
        return code * self._scale[frame].reshape(-1, 1)[need]
