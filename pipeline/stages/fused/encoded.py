"""What the workers of all codecs of targets have in common."""

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.grids.fused import CHUNK
from pipeline.stages import targets


class Encoded:
    """Fuses one scan after another and encodes what came out."""

    codec = "fp16"

    def __init__(self, params: Mapping[str, Any], parts: Mapping[str, ModuleType]) -> None:
        """As `pipeline.stages.targets.Worker`."""
        self._fuse = targets.Worker(params, parts)

    def __call__(
        self,
        out: zarr.Group,
        embeddings: zarr.Group,
        projections: zarr.Group,
        voxels: zarr.Group | None = None,
    ) -> None:
        """Write what `pipeline.grids.fused` reads of this codec, in the place of `feature`."""
        self._fuse(out, embeddings, projections, voxels)
        self.replace(out, voxels)

    def replace(self, out: zarr.Group, voxels: zarr.Group | None) -> None:
        """Encode an entry that has its features as fp16."""
        self.encode(out, cast(zarr.Array, out["feature"]), voxels)
        out.attrs["codec"] = self.codec

    def encode(self, out: zarr.Group, feature: zarr.Array, voxels: zarr.Group | None) -> None:
        """Write the codes of `feature` (V, d) and delete it."""
        raise NotImplementedError


def blocks(feature: zarr.Array) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """The features a chunk at a time, with their rows."""
    for begin in range(0, feature.shape[0], CHUNK):
        rows = slice(begin, min(begin + CHUNK, feature.shape[0]))
        yield rows, np.asarray(feature[rows]).astype(np.float32)
