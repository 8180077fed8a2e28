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

PACKAGES = ("numpy", "open_clip_torch", "pillow", "timm", "torch")


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
