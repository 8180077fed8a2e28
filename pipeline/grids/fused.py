"""Fused embeddings of an entry of `targets`, read by rows whatever codec they are stored in.

By the attribute `codec` of the entry (`fp16` where there is none), V voxels of d numbers are

    fp16         `feature` f16 (V, d)
    int8         `code` i8 (V, d) and `scale` f16 (V, 1): a vector is its code times its scale
    low_rank     `code` u8 (V, bytes), `scale` f16 (V, 1) and `along` f32 (r, 3 + d), of each
                 component its lowest level, their distance, its bits and its direction: a vector
                 is the point with these components, scaled to the length `scale`
    superpoints  `feature` f16 (S, d) and `place` u32 (V,): the row of each voxel

What is kept of each row is uncompressed, in chunks of rows, so that trainings gather some of them
(`pipeline.store.mapped`).
"""

from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.grids.packing import BITS, unpack

CHUNK = 4096  # rows
CODECS = ("fp16", "int8", "low_rank", "superpoints")


def codec_of(targets: zarr.Group) -> str:
    """The codec of an entry. Raises `BadInput` where this version knows no such codec."""
    codec = str(targets.attrs.get("codec", "fp16"))
    if codec not in CODECS:
        what = f"the entry at {targets.store} has the codec {codec}"
        raise BadInput("targets", what, f"make it with one of {', '.join(CODECS)}")
    return codec


def read_along(targets: zarr.Group) -> NDArray[np.float32]:
    """The components (r, 3 + d) of an entry's codes; (0, 3) where they are none of any."""
    if codec_of(targets) != "low_rank":
        return np.zeros((0, 3), np.float32)
    return np.asarray(cast(zarr.Array, targets["along"]))


def decode(code: Any, scale: Any, along: Any, point: Any) -> Any:
    """The features (n, d) f32 of codes (n, bytes) with their scales (n, 1) f32.

    All are arrays, or all are tensors of one device. `along` (r, 3 + d) may have no component;
    `point` (n, r) f32 is overwritten.
    """
    if not len(along):
        return code * scale
    unpack(code, [int((along[:, 2] == bits).sum()) for bits in BITS], point)
    point *= along[:, 1]
    point += along[:, 0]
    point *= scale / (point * point).sum(-1)[:, None] ** 0.5
    return point @ along[:, 3:]


class FusedRows:
    """The features of one entry, decoded where they are read."""

    def __init__(self, targets: zarr.Group) -> None:
        """Raises `BadInput` as `codec_of`."""
        self.codec = codec_of(targets)
        packed = self.codec in ("int8", "low_rank")
        self._stored = cast(zarr.Array, targets["code" if packed else "feature"])
        self._scale = cast(zarr.Array, targets["scale"]) if packed else None
        self._along = read_along(targets)
        self._place = np.asarray(targets["place"]) if self.codec == "superpoints" else None
        count, width = self._stored.shape
        if len(self._along):
            width = self._along.shape[1] - 3
        self.shape = (count if self._place is None else len(self._place), width)

    def __getitem__(self, rows: slice) -> NDArray[np.floating]:
        """Features (n, d), float16 or float32."""
        if self._place is not None:
            place, of_row = np.unique(self._place[rows], return_inverse=True)
            first, last = (int(place[0]), int(place[-1]) + 1) if len(place) else (0, 0)
            return np.asarray(self._stored[first:last])[place - first][of_row]
        stored = np.asarray(self._stored[rows])
        if self._scale is None:
            return stored
        scale = np.asarray(self._scale[rows]).astype(np.float32)
        point = np.empty((len(stored), len(self._along)), np.float32)
        return cast(NDArray[np.floating], decode(stored, scale, self._along, point))
