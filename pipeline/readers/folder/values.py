"""Numbers from small text and JSON files: matrices, intrinsics, poses."""

import codecs
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.geometry.poses import require_intrinsics

Array = NDArray[np.float64]
Size = tuple[int, int]

FIX = "fix it, or leave the scan out"
MAX_SIDE = 16384  # pixels: no camera has more
# Camera axes of OpenGL and ARKit (x right, y up, z backward) in those of OpenCV, and the reverse.
OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark. Raises `BadInput` for none."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", FIX) from None
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except ValueError:
        raise BadInput(path, "is not a text file", FIX) from None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises `BadInput`."""
    return parse_json(read_text(path), path)


def parse_json(text: str, where: Path) -> dict[str, Any]:
    """The object in a JSON text of the file `where`. Raises `BadInput`."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadInput(where, "does not contain a JSON object", FIX)
    return value


def read_pose(path: Path) -> Array:
    """The (4, 4) matrix in a text file of 4 x 4 or 3 x 4 numbers, which may be not finite.

    Raises `BadInput`.
    """
    words = _words(path)
    matrix = numbers(words, (12, 16), path, "a 4 x 4 or 3 x 4 matrix").reshape(-1, 4)
    return matrix if len(matrix) == 4 else np.vstack([matrix, [0.0, 0.0, 0.0, 1.0]])


def read_intrinsics(path: Path) -> Array:
    """The (3, 3) intrinsics in a text file: a matrix of 3 x 3 or 4 x 4, or fx, fy, cx and cy.

    Raises `BadInput`.
    """
    words = _words(path)
    values = numbers(words, (4, 9, 16), path, "a 3 x 3 or 4 x 4 matrix, or fx, fy, cx and cy")
    if len(values) == 4:
        return checked_intrinsics(pinhole(*values), path)
    side = round(len(values) ** 0.5)
    return checked_intrinsics(values.reshape(side, side)[:3, :3], path)


def _words(path: Path) -> list[str]:
    """The words of a text file, between blanks and commas, without what stands behind `#`."""
    lines = (line.partition("#")[0] for line in read_text(path).splitlines())
    return " ".join(lines).replace(",", " ").split()


def numbers(values: Any, counts: Sequence[int], where: Path, what: str) -> Array:
    """`values` as an array (n,) with n in `counts`. Raises `BadInput` that names `what`."""
    try:
        if any("_" in word for word in values if isinstance(word, str)):
            raise ValueError("Python reads 5_77 as 577")
        array = np.array(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        array = np.empty(0)
    if array.ndim != 1 or len(array) not in counts:
        raise BadInput(where, f"does not contain the numbers of {what}", FIX)
    return array


def checked_intrinsics(matrix: Array, where: Path) -> Array:
    """`matrix` (3, 3). Raises `BadInput` where it cannot be the intrinsics of a camera."""
    return require_intrinsics(matrix, where, FIX)


def pinhole(fx: float, fy: float, cx: float, cy: float) -> Array:
    """Intrinsics (3, 3) from focal lengths and principal point in pixels."""
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)


def pose_of(quaternion: Array, position: Array) -> Array:
    """The matrix (4, 4) of a quaternion (x, y, z, w) of any length and a position (3,).

    NaN where the quaternion is zero.
    """
    pose = np.eye(4)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        x, y, z, w = quaternion / np.linalg.norm(quaternion)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = position
    return pose


def image_size_in(values: Mapping[str, Any], width: str, height: str, where: Path) -> Size:
    """The (width, height) in a JSON object under these keys. Raises `BadInput`."""
    size = values.get(width), values.get(height)
    if not all(isinstance(n, int) and 0 < n <= MAX_SIDE for n in size):
        raise BadInput(where, f"has images of {size[0]} x {size[1]} pixels", FIX)
    return size[0], size[1]  # type: ignore[return-value]
