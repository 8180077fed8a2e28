"""Targets as one vector for each superpoint of the scan, the mean of its voxels' features.

It takes a few hundredths of the bytes of fp16, and is what `segments: 1` gives every voxel. A voxel
of no superpoint keeps a vector of its own.
"""

from typing import cast

import numpy as np
import zarr

from pipeline.grids.fused import CHUNK
from pipeline.stages.fused.encoded import Encoded
from pipeline.stages.targets import blend_segments
from pipeline.store import arrays


class Worker(Encoded):
    """Fuses one scan after another and averages in superpoints."""

    codec = "superpoints"

    def encode(self, out: zarr.Group, feature: zarr.Array, voxels: zarr.Group | None) -> None:
        """Write `feature` f16 (S, d) and `place` u32 (V,)."""
        assert voxels is not None
        voxel = np.asarray(cast(zarr.Array, out["voxel"]))
        segment = np.asarray(cast(zarr.Array, voxels["voxel_segment"]))[voxel].astype(np.int64)
        blend_segments(feature, segment, 1, CHUNK)
        alone = segment < 0
        segment[alone] = segment.max(initial=-1) + 1 + np.arange(alone.sum())
        _, first, place = np.unique(segment, return_index=True, return_inverse=True)
        mean = np.asarray(feature.oindex[first])
        del out["feature"]
        arrays.write(out, "feature", mean, CHUNK, compress=False)
        arrays.write(out, "place", place.astype(np.uint32))
