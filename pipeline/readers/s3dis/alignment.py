"""The coordinate systems of S3DIS and 2D-3D-S, and the transforms between them.

Camera poses and the points of v1.2 are in the coordinates of their area, z up. In the aligned
release every room is rotated about z by the negative of its angle, a multiple of 90 degrees, about
the centre of its bounding box, which such a rotation leaves in place. The images of Area_5 come in
two parts: its points are in the coordinates of area_5a, and area_5b has coordinates of its own.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput

Array = NDArray[np.float64]

# camera_to_world of area_5b -> area_5a. DVA, PonderV2 and DITR use the same, see
# https://github.com/alexsax/2D-3D-Semantics/issues/40
AREA_5B_TO_5A = np.array(
    [[0, 1, 0, -4.09703582], [-1, 0, 0, 6.22617759], [0, 0, 1, 0], [0, 0, 0, 1]]
)


def turned(xyz: Array, angle: int) -> Array:
    """Points (N, 3) rotated by `angle` degrees, a multiple of 90, about z through their centre.

    Minus its angle takes a room of v1.2 to the aligned release; its angle takes it back.
    """
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[angle % 360]
    x, y = ((xyz.min(0) + xyz.max(0)) / 2)[:2]
    dx, dy = xyz[:, 0] - x, xyz[:, 1] - y
    return np.stack([cosine * dx - sine * dy + x, sine * dx + cosine * dy + y, xyz[:, 2]], 1)


def read_angle(path: Path, room: str) -> int:
    """The angle in degrees of a room in `Area_N_alignmentAngle.txt`. Raises `BadInput`."""
    remedy = "take the file of Stanford3dDataset_v1.2.zip"
    try:
        lines = path.read_bytes().decode("utf-8-sig", "replace").splitlines()
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", remedy) from None
    words = [line.split(maxsplit=1) for line in lines]
    found = {rest[0].strip() for name, *rest in filter(None, words) if name == room and rest}
    if not found:
        raise BadInput(path, f"has no angle for {room}", remedy)
    angle = " and ".join(sorted(found))
    if angle not in ("0", "90", "180", "270"):
        raise BadInput(path, f"turns {room} by {angle[:20]!r} degrees", remedy)
    return int(angle)
