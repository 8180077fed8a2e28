"""Targets as components along the scan's own directions: an eighth of the bytes of fp16.

Directions are those of the codec of grids of the same name, and so are the levels; the length of a
vector, which says how far its views agree, is kept in half precision.
"""

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.grids.codecs.low_rank import LEAST_DEPTH, bands_of, fit, to_low_rank
from pipeline.grids.fused import CHUNK
from pipeline.grids.packing import BITS, packed
from pipeline.stages.fused.encoded import Encoded, blocks
from pipeline.store import arrays

PACKAGES = ("torch",)

_SAMPLE = 8192  # vectors that the directions of a scan are found from


class Worker(Encoded):
    """Fuses one scan after another into components of few bits."""

    codec = "low_rank"

    def encode(self, out: zarr.Group, feature: zarr.Array, voxels: zarr.Group | None) -> None:
        """Write `code` u8 (V, bytes), `scale` f16 (V, 1) and `along` f32 (r, 3 + d).

        Raises `BadInput` where vectors are too short.
        """
        count, depth = feature.shape
        if depth < LEAST_DEPTH:
            what = f"vectors of {depth} numbers are too short for the codec low_rank"
            raise BadInput("targets", what, "set `codec: int8`")
        bands = bands_of(depth)
        along = fit(_sample(feature), bands)
        code = arrays.create(out, "code", (count, packed(bands)), np.uint8, CHUNK, False)
        scale = np.zeros((count, 1), np.float16)
        for rows, block in blocks(feature):
            unit, scale[rows] = _unit(block)
            code[rows] = to_low_rank(unit, bands, along)
        arrays.write(out, "scale", scale, CHUNK, compress=False)
        basis = along.basis * along.basis_scale.astype(np.float32)[:, None]
        table = np.column_stack([along.low, along.step, np.repeat(BITS, bands), basis])
        arrays.write(out, "along", table.astype(np.float32), compress=False)
        del out["feature"]


def _unit(block: NDArray[np.float32]) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Directions (n, d) and lengths (n, 1); a vector of 0 has any direction."""
    length = np.linalg.norm(block, axis=1, keepdims=True)
    unit = block / np.where(length > 0, length, 1)
    unit[length[:, 0] == 0, 0] = 1
    return unit.astype(np.float16), length


def _sample(feature: zarr.Array) -> NDArray[np.float16]:
    """Directions (S, d) from all over a scan; the same ones each time."""
    count = feature.shape[0]
    picked = np.random.default_rng(0).choice(count, min(count, _SAMPLE), replace=False)
    found = [np.empty((0, feature.shape[1]), np.float16)]
    for rows, block in blocks(feature):
        own = picked[(picked >= rows.start) & (picked < rows.stop)] - rows.start
        found.append(_unit(block[np.sort(own)])[0])
    return np.concatenate(found)
