"""Grids of embeddings, and how they are read at any pixel.

An entry of `embeddings` has the arrays of its codec (see `pipeline.grids.codecs`), the attribute
`codec` with that codec's name, and the attribute `pixel_to_grid` [[ax, bx], [ay, by]]: the colour
pixel (u, v) is at column ax u + bx and row ay v + by of the grid, the centres of first pixel and
first cell being 0.
"""

from types import ModuleType
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.grids.codecs import name_of


class Grids:
    """Reads the grids of one entry, frame by frame."""

    def __init__(self, embeddings: zarr.Group, codec: ModuleType) -> None:
        """Raises `BadInput` where the entry is of another codec, or lacks arrays of this one."""
        try:
            found = embeddings.attrs["codec"]
            if found != name_of(codec):
                raise ValueError(f"its codec is {found}, not {name_of(codec)}")
            (ax, bx), (ay, by) = cast(list[list[float]], embeddings.attrs["pixel_to_grid"])
            self._ratio = np.array([ax, ay], np.float32)
            self._shift = np.array([bx, by], np.float32)
            self._stored = codec.Stored(embeddings)
            frames, height, width, depth = self._stored.shape
        except (LookupError, TypeError, ValueError) as error:
            what = f"the entry at {embeddings.store} has no grid that can be read ({error})"
            raise BadInput("embeddings", what, "move it away and rerun") from error
        self.shape: tuple[int, int, int, int] = (frames, height, width, depth)

    def cells(self, frame: int, need: Any = slice(None)) -> NDArray[np.floating]:
        """The vectors (n, d) of those cells of a frame that `need`, an index of h w, picks.

        float16 if they are stored so, or float32 where they are decoded.
        """
        return self._stored.cells(frame, need)

    def frame(self, index: int) -> NDArray[np.floating]:
        """The whole grid (h, w, d) of a frame."""
        return self.cells(index).reshape(self.shape[1:])

    def position(self, uv: NDArray[np.float32]) -> NDArray[np.float32]:
        """Column and row (P, 2) in the grid at colour pixels (P, 2).

        Clamped to the outermost centres of cells: beyond them there is nothing to interpolate with.
        """
        _, height, width, _ = self.shape
        xy = uv * self._ratio + self._shift
        return np.clip(xy, 0, np.array([width - 1, height - 1], np.float32))

    def read(self, frame: int, uv: NDArray[np.float32]) -> NDArray[np.float32]:
        """The embeddings (P, d) of a frame at colour pixels (P, 2), bilinear."""
        _, height, width, depth = self.shape
        xy = self.position(uv)
        corner = xy.astype(np.int64)
        right, below = (xy - corner).T[..., None]
        used, out = np.zeros(height * width, bool), np.zeros((len(uv), depth), np.float32)
        parts = []
        for down, along in ((0, 0), (0, 1), (1, 0), (1, 1)):
            column = np.minimum(corner[:, 0] + along, width - 1)
            row = np.minimum(corner[:, 1] + down, height - 1)
            share = (right if along else 1 - right) * (below if down else 1 - below)
            parts.append((row * width + column, share))
            used[parts[-1][0]] = True
        table, slot = self.cells(frame, used), np.cumsum(used) - 1
        for cell, share in parts:
            out += share * table[slot[cell]]
        return out
