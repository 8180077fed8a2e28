"""What files say about cameras, in the conventions of the project: one place for all layouts.

Poses become camera to world with OpenCV's camera axes (x right, y down, z forward); depth is told
by how many of its units are a metre; a lens that bends lines is refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder.values import FIX, OPENGL, Array, Size

Axes = Literal["opencv", "opengl"]  # of a camera; OpenGL's and ARKit's: x right, y up, z backward
Direction = Literal["camera_to_world", "world_to_camera"]

UNDISTORT = "undistort the images first, for example with `colmap image_undistorter`"
_BENT = 1.0  # pixels by which distortion may move the corner of an image: no more than a blur
_RADIAL, _TANGENTIAL = ("k1", "k2", "k3"), ("p1", "p2")


def pose_from(
    matrix: Array, axes: Axes = "opencv", direction: Direction = "camera_to_world"
) -> Array:
    """The pose (4, 4) that a file gives as `matrix` (3, 4) or (4, 4), in the project's way.

    NaN where a matrix that must be inverted is not rigid: tracking was lost.
    """
    pose = matrix if len(matrix) == 4 else np.vstack([matrix, [0.0, 0.0, 0.0, 1.0]])
    if direction == "world_to_camera":
        rotation = pose[:3, :3]
        if not (np.isfinite(pose).all() and abs(np.linalg.det(rotation) - 1) < 0.1):
            return np.full((4, 4), np.nan)
        pose = np.linalg.inv(pose)
    return pose @ OPENGL if axes == "opengl" else pose


def units_per_metre(metres_per_unit: Any, where: Path, name: str) -> float:
    """How many units of depth are a metre, from the metres of one, the value `name` of a file.

    Raises `BadInput` where it is no positive number.
    """
    known = isinstance(metres_per_unit, int | float) and not isinstance(metres_per_unit, bool)
    if not (known and 0 < metres_per_unit < np.inf and 1 / metres_per_unit < np.inf):
        raise BadInput(where, f"has the {name} {metres_per_unit!r}", "give the metres of one unit")
    scale = 1 / metres_per_unit
    # 0.001 means 1000: what rounding added is taken away.
    return float(round(scale)) if abs(scale - round(scale)) < 1e-9 * scale else float(scale)


def require_straight(
    distortion: Mapping[str, float], camera: Array, size: Size, where: Path
) -> None:
    """Raise `BadInput` where OpenCV's distortion (k1, k2, k3, p1, p2) moves a corner by a pixel.

    `camera` is (3, 3), `size` the (width, height) of the images. Source of the formula: OpenCV's
    documentation of camera calibration.
    """
    values = {name: distortion.get(name, 0.0) for name in (*_RADIAL, *_TANGENTIAL)}
    if not any(values.values()):
        return
    corners = np.array([[u, v] for u in (0, size[0] - 1) for v in (0, size[1] - 1)], np.float64)
    x, y = ((corners - camera[:2, 2]) / camera[[0, 1], [0, 1]]).T
    with np.errstate(all="ignore"):
        r2 = x * x + y * y
        radial = sum(values[name] * r2**power for power, name in enumerate(_RADIAL, start=1))
        p1, p2 = values["p1"], values["p2"]
        dx = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        dy = y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y)
        moved = np.hypot(camera[0, 0] * dx, camera[1, 1] * dy).max()
    if not moved <= _BENT:
        what = f"has a lens whose distortion moves the corners by {moved:.0f} pixels"
        raise BadInput(where, what, UNDISTORT)


def one_size(sizes: list[Size], where: Path) -> Size:
    """The size that all frames have. Raises `BadInput` where they differ."""
    if different := next((size for size in sizes if size != sizes[0]), None):
        what = f"has images of {sizes[0]} and of {different} pixels"
        raise BadInput(where, what, f"give them one size, or {FIX}")
    return sizes[0]
