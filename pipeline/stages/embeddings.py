"""Stage embeddings: the colour images of a scan -> grids of dense CLIP embeddings.

The grid is coarser than the image, and by contract it is read bilinearly at any pixel through
`pixel_to_grid`: per pixel, ScanNet would take 15 TB instead of 0.2.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.facts import Facts
from pipeline.stages.declaration import Stage, by_digest
from pipeline.stages.parts import part_names

FEATURES = "pipeline.readers.features.embeddings"


class EmbeddingsStage(Stage):
    """Grids of dense CLIP embeddings of the colour images."""

    reads = ("frames",)
    packages = ("numpy", "open_clip_torch", "pillow", "timm", "torch")
    gpu = True
    memory_mb, minutes = 16000, 15
    time_grows_with = size_grows_with = ("frames",)

    def module(self, facts: Facts) -> str:
        """Features from elsewhere take the place of an image tower."""
        return FEATURES if facts.features else super().module(facts)

    def parts(self, facts: Facts) -> dict[str, str]:
        """Recipe, codec, tower family and, if embeddings are averaged in them, image regions."""
        return part_names(self.name, facts.section, needed=False)

    def raw_group(self, facts: Facts) -> str | None:
        """Features from elsewhere are files outside the store."""
        return "features" if facts.features else None

    def params(self, facts: Facts) -> dict[str, Any]:
        """The section; of features, how their grids are cached."""
        params = self.placed(super().params(facts))
        if facts.features:
            return {key: params[key] for key in ("codec",) if key in params}
        return params

    def key_params(self, facts: Facts) -> dict[str, Any]:
        """The digest of local weights takes the place of their path."""
        return self.params(facts) | ({} if facts.features else by_digest(facts))

    def threads(self, facts: Facts) -> int:
        """Threads that decode, resize and read images."""
        return int(facts.section["threads"])


class Worker:
    """Loads the tower once for many scans."""

    def __init__(self, params: Mapping[str, Any], parts: Mapping[str, ModuleType]) -> None:
        """See `pipeline.clip.embedder.Embedder`; raises `BadInput` for what cannot be used."""
        from pipeline.clip.embedder import Embedder

        self.embedder = Embedder(params, parts)

    def __call__(self, out: zarr.Group, frames: zarr.Group) -> None:
        """Write the grids of all frames (see `pipeline.grids.reading`), and `pixel_to_grid`."""
        self.embedder.write(out, frames)

    def exact(self, frames: zarr.Group) -> NDArray[np.float32]:
        """The grids (F, h, w, d) of all frames before they are rounded, to compare codecs with."""
        return self.embedder.exact(frames)
