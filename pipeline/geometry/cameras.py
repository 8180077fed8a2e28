"""Pinhole cameras: pure functions over arrays.

Conventions as in `scan.py`: cameras look along +z with x right and y down, `camera_to_world` takes
camera to world coordinates, uv = (column, row) and the centre of the first pixel is (0, 0). So an
image of w pixels spans columns -0.5 to w - 0.5.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[float, float]


def transform(matrix: Array, xyz: NDArray[np.floating]) -> Array:
    """Take points (N, 3) into other coordinates by an affine matrix (4, 4)."""
    return xyz @ matrix[:3, :3].T + matrix[:3, 3]


def world_to_camera(camera_to_world: Array) -> Array:
    """The inverse (4, 4) of a pose, which may differ from a rigid motion by rounding."""
    return np.asarray(np.linalg.inv(camera_to_world), np.float64)


def project(intrinsics: Array, xyz: Array) -> Array:
    """Pixels uv (N, 2) of points (N, 3) in camera coordinates.

    Only points with z > 0 are in front of the camera; the results for all others (infinities and
    NaN included) are meaningless.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        rays = xyz[:, :2] / xyz[:, 2:]
    return rays @ intrinsics[:2, :2].T + intrinsics[:2, 2]


def unproject(intrinsics: Array, uv: Array, z: Array) -> Array:
    """Points (N, 3) in camera coordinates that are seen at pixels (N, 2) at depths z (N,)."""
    rays = (uv - intrinsics[:2, 2]) @ np.linalg.inv(intrinsics[:2, :2]).T
    return np.column_stack([rays * z[:, None], z])


def scale_intrinsics(intrinsics: Array, size: tuple[int, int], new_size: tuple[int, int]) -> Array:
    """Intrinsics (3, 3) after an image of `size` (width, height) was resized to `new_size`.

    The edges of the image stay its edges: u' = (u + 0.5) s - 0.5, with s for each axis.
    """
    scale = np.array(new_size, float) / size
    scaled = intrinsics.astype(float)
    scaled[:2] *= scale[:, None]
    scaled[:2, 2] += 0.5 * scale - 0.5
    return scaled


def frustum(to_camera: Array, intrinsics: Array, low: Pair, high: Pair) -> Array:
    """The half-spaces (4, 4) whose points project between the pixels `low` and `high`.

    A row (a, b, c, d) means a x + b y + c z + d >= 0 in world coordinates. With p = K [R | t]
    and u = p0 / p2, u >= low is p0 - low p2 >= 0; that all four hold implies p2 >= 0, so points
    behind the camera fail.
    """
    p = intrinsics @ to_camera[:3]
    return np.vstack([p[:2] - np.outer(low, p[2]), np.outer(high, p[2]) - p[:2]])
