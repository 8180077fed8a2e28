"""Embeddings averaged within image regions, where the config asks for it.

A region of even colour usually belongs to one object, and a tower reads it better as a whole than
cell by cell: pooling by regions gains more than changes of a tower's attention.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from skimage.segmentation import felzenszwalb

PACKAGES = ("scikit-image", "scipy")


@dataclass(frozen=True)
class Regions:
    """How images are divided: Felzenszwalb and Huttenlocher, IJCV 2004."""

    scale: float  # more asks for larger regions
    smallest: int  # in pixels of the image that is read

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.integer]:
        """The region (y, x) of each pixel of an image (y, x, 3), numbered from 0 on."""
        return felzenszwalb(image, self.scale, min_size=self.smallest)

    def average(
        self, cells: NDArray[np.floating], region: NDArray[np.integer]
    ) -> NDArray[np.floating]:
        """Unit vectors (h, w, d): for each cell the mean of its pixels' regions.

        A pixel has the vector of the cell (h, w, d) that contains its centre, a region the mean of
        its pixels', and in the end a cell the mean of its pixels' regions, at unit length.
        """
        high, wide, depth = cells.shape
        rows, columns = (
            ((np.arange(pixels) + 0.5) * count / pixels).astype(np.int64)
            for pixels, count in zip(region.shape, (high, wide), strict=True)
        )
        cell = (rows[:, None] * wide + columns).ravel()
        shape = (high * wide, int(region.max()) + 1)
        ones = np.ones(cell.size, np.float32)
        pixels = sparse.csr_matrix((ones, (cell, region.ravel())), shape)
        per_region = pixels.T @ cells.reshape(-1, depth).astype(np.float32)
        per_region /= np.maximum(pixels.sum(0), 1).reshape(-1, 1)
        mean = pixels @ per_region
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        mean /= np.maximum(length, np.finfo(np.float32).tiny)
        return mean.reshape(cells.shape).astype(cells.dtype)
