"""Targets as one vector for each superpoint of the scan, the mean of its voxels' features.

It takes a few hundredths of the bytes of fp16, and is what `segments: 1` gives every voxel. A voxel
of no superpoint keeps a vector of its own.
"""

from typing import cast

import numpy as np
import zarr
from scipy import sparse

from pipeline.grids.fused import CHUNK
from pipeline.stages.fused.encoded import Encoded, blocks
from pipeline.store import arrays


class Worker(Encoded):
    """Fuses one scan after another and averages in superpoints."""

    codec = "superpoints"

    def encode(self, out: zarr.Group, feature: zarr.Array, voxels: zarr.Group | None) -> None:
        """Write `feature` f16 (S, d) and `place` u32 (V,)."""
        assert voxels is not None
        voxel = np.asarray(cast(zarr.Array, out["voxel"]))
        segment = np.asarray(cast(zarr.Array, voxels["voxel_segment"]))[voxel].astype(np.int64)
        alone = segment < 0
        segment[alone] = segment.max(initial=-1) + 1 + np.arange(alone.sum())
        names, place = np.unique(segment, return_inverse=True)
        total = np.zeros((len(names), feature.shape[1]), np.float32)
        for rows, block in blocks(feature):
            index = (place[rows], np.arange(len(block)))
            chosen = sparse.csr_matrix(
                (np.ones(len(block), np.float32), index), (len(names), len(block))
            )
            total += chosen @ block
        total /= np.bincount(place, minlength=len(names))[:, None]
        del out["feature"]
        arrays.write(out, "feature", total.astype(np.float16), CHUNK, compress=False)
        arrays.write(out, "place", place.astype(np.uint32))
