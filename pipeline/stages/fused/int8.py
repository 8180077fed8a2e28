"""Targets as 8-bit integers with a scale for each voxel: a half of the bytes of fp16.

No number is off by more than half of its vector's scale (its largest number over 127), and what
half precision rounds off.
"""

import numpy as np
import zarr

from pipeline.grids.fused import CHUNK
from pipeline.grids.rounding import to_int8
from pipeline.stages.fused.encoded import Encoded, blocks
from pipeline.store import arrays


class Worker(Encoded):
    """Fuses one scan after another into 8-bit integers."""

    codec = "int8"

    def encode(self, out: zarr.Group, feature: zarr.Array, voxels: zarr.Group | None) -> None:
        """Write `code` i8 (V, d) and `scale` f16 (V, 1)."""
        code = arrays.create(out, "code", feature.shape, np.int8, CHUNK, False)
        scale = np.zeros((feature.shape[0], 1), np.float16)
        for rows, block in blocks(feature):
            code[rows], scale[rows, 0] = to_int8(block)
        arrays.write(out, "scale", scale, CHUNK, compress=False)
        del out["feature"]
