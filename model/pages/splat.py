"""Drawing point clouds: which point is in front at each pixel."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_AT_ONCE = 1 << 16  # points, which are drawn in one size
_LARGEST = 6  # pixels from the middle of a point to its edge


@dataclass(frozen=True)
class View:
    """A camera without lens distortion: of parallel rays, or (`focal`) of rays through one point.

    A point p has the camera coordinates (right, down, forward) = `rotation` (p - `centre`).
    """

    rotation: Array  # (3, 3) rows are the directions right, down and forward in the world
    centre: Array  # (3,) metres: the middle of the picture, or where the camera is
    width: int  # pixels
    height: int  # pixels
    scale: float  # pixels to a metre; with `focal`, pixels to a unit of right / forward
    focal: bool = False

    def project(self, xyz: NDArray[np.floating]) -> tuple[Array, Array, Array]:
        """Pixels (N, 2), distances along the view (N,) and pixels to a metre there (N,)."""
        right, down, forward = self.rotation @ (xyz - self.centre).T
        scale = np.full(len(xyz), self.scale)
        if self.focal:
            scale = self.scale / np.maximum(forward, 1e-6)
        uv = np.column_stack([right, down]) * scale[:, None]
        return uv + np.array([self.width / 2, self.height / 2]), forward, scale


def nearest(xyz: NDArray[np.floating], view: View, size: float) -> NDArray[np.int64]:
    """The point (H, W) that is in front at each pixel, an index of `xyz` (N, 3); -1 for none.

    Points are squares of `size` metres that face the camera, at least a pixel large. They are drawn
    from far to near, one over another.
    """
    uv, forward, scale = view.project(xyz)
    ahead = np.flatnonzero(forward > 0) if view.focal else np.arange(len(xyz))
    far_first = ahead[np.argsort(-forward[ahead], kind="stable")]
    front = np.full((view.height, view.width), -1, np.int64)
    for start in range(0, len(far_first), _AT_ONCE):
        points = far_first[start : start + _AT_ONCE]
        reach = min(_LARGEST, int(np.ceil((size * scale[points].mean() - 1) / 2)))
        steps = np.arange(-max(0, reach), max(0, reach) + 1)
        down, right = np.meshgrid(steps, steps, indexing="ij")
        column, row = np.floor(uv[points]).astype(np.int64).T
        row = (row[:, None] + down.ravel()).ravel()
        column = (column[:, None] + right.ravel()).ravel()
        inside = (row >= 0) & (row < view.height) & (column >= 0) & (column < view.width)
        drawn = np.repeat(points, down.size)[inside]
        front[row[inside], column[inside]] = drawn  # of those at one pixel, the last stays
    return front
