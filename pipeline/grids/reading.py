"""Grids of embeddings as entries hold them, in any form, and how they are read at any pixel.

An entry of `embeddings` has, for F frames of h x w cells and d numbers to a vector, one of

fp16      `grid` f16 (F, h, w, d)
int8      `code` i8 (F, h, w, d) and `scale` f16 (F, h, w): a vector is its code times its scale
low_rank  `code` u8 (F, h, w, bytes), `basis` i8 (r, d), `basis_scale` f16 (r,), `low` and `step`
          f32 (r,), and the attribute `bands`: a vector is a point along the scan's own r principal
          directions (`basis` times its scale), as many of them as `bands` says in 8 bits, in 4 and
          in 2, and has unit length

and the attribute `pixel_to_grid` [[ax, bx], [ay, by]]: the colour pixel (u, v) lies at column
ax u + bx and row ay v + by of the grid, the centres of first pixel and first cell being 0.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.grids.packing import packed, unpack


class Grids:
    """Reads the grids of one entry, whatever form they have; of the scan it holds no frame."""

    def __init__(self, embeddings: zarr.Group) -> None:
        """Raises `BadInput` where the entry has not the arrays of one form."""
        try:
            self._open(embeddings)
        except (LookupError, TypeError, ValueError) as error:
            what = f"the entry at {embeddings.store} has no grid that can be read ({error})"
            raise BadInput("embeddings", what, "move it away and run again") from error

    def _open(self, entry: zarr.Group) -> None:
        (ax, bx), (ay, by) = cast(list[list[float]], entry.attrs["pixel_to_grid"])
        self._ratio = np.array([ax, ay], np.float32)
        self._shift = np.array([bx, by], np.float32)
        self._scale: NDArray[np.float32] | None = None
        self._basis: NDArray[np.float32] | None = None
        name = "grid" if "grid" in entry else "code"
        self._code = cast(zarr.Array, entry[name])
        frames, height, width, depth = self._code.shape
        kind: type = np.float16
        if name == "code" and "scale" in entry:
            kind, self._scale = np.int8, _whole(entry, "scale", np.float16, self._code.shape[:3])
        elif name == "code":
            self._bands, kind = cast(list[int], entry.attrs["bands"]), np.uint8
            if depth != packed(self._bands):
                raise ValueError(f"bands {self._bands} do not fill {depth} bytes")
            rank, depth = sum(self._bands), cast(zarr.Array, entry["basis"]).shape[1]
            self._low = _whole(entry, "low", np.float32, (rank,))
            self._step = _whole(entry, "step", np.float32, (rank,))
            self._basis = _whole(entry, "basis", np.int8, (rank, depth))
            self._basis *= _whole(entry, "basis_scale", np.float16, (rank,))[:, None]
        if self._code.dtype != kind:
            raise ValueError(f"{name} is {self._code.dtype}")
        self.shape: tuple[int, int, int, int] = (frames, height, width, depth)

    def cells(self, frame: int, need: Any = slice(None)) -> NDArray[np.floating]:
        """The vectors (n, d) of those cells of a frame that `need`, an index of h w, picks.

        float16 as they are stored, or float32 where they are decoded.
        """
        code = np.asarray(self._code[frame])
        code = code.reshape(-1, code.shape[-1])[need]
        if self._scale is not None:
            return code * self._scale[frame].reshape(-1, 1)[need]
        if self._basis is not None:
            point = np.empty((len(code), len(self._basis)), np.float32)
            return decode(code, self._bands, self._low, self._step, self._basis, point)
        return code

    def frame(self, index: int) -> NDArray[np.floating]:
        """The whole grid (h, w, d) of a frame."""
        return self.cells(index).reshape(self.shape[1:])

    def position(self, uv: NDArray[np.float32]) -> NDArray[np.float32]:
        """Column and row (P, 2) in the grid at colour pixels (P, 2).

        Beyond the outermost centres of cells there is nothing to interpolate with: clamped to them.
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


def decode(code: Any, bands: Sequence[int], low: Any, step: Any, basis: Any, point: Any) -> Any:
    """The vectors (n, d) of unit length that `code` u8 (n, bytes) stands for, in form low_rank.

    All are numpy arrays or all are tensors of one device; `point` (n, r) f32 is overwritten.
    """
    unpack(code, bands, point)
    point *= step
    point += low
    point /= (point * point).sum(-1)[:, None] ** 0.5
    return point @ basis


def _whole(entry: zarr.Group, name: str, kind: type, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """An array that must have this type and shape, as float32."""
    array = cast(zarr.Array, entry[name])
    if array.dtype != kind or array.shape != shape:
        raise ValueError(f"{name} is {array.dtype} {array.shape}")
    return np.asarray(array[...]).astype(np.float32)
