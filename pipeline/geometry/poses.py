"""What can be a camera: checks of poses and intrinsics, the same for all readers."""

from collections.abc import Iterable
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput

Array = NDArray[np.float64]
Where = str | PathLike[str]

_ROUNDED = 0.05  # deviation of R R^T from the identity: files may have two decimals
_LAST_ROW = 1e-3  # deviation from 0 0 0 1, and from 0 0 1 relative to the focal length
_SKEW = 1e-3  # relative to the focal length
_FOCAL = (0.1, 20.0)  # of the image's larger side: a field of view of 157 and of 3 degrees
_FARTHEST = 1e9  # metres; georeferenced positions have 1e7
_SOME = 0.5  # share of the finite poses that a mistake of all of them makes invalid


def is_rigid(pose: Array) -> bool:
    """Whether a matrix (4, 4) is a pose: on Earth, a rotation up to rounding, last row 0 0 0 1.

    Where tracking was lost, recordings contain -inf, NaN or zeros.
    """
    return _is_near(pose) and _last_row(pose) and _is_rotation(pose[:3, :3])


def require_poses(poses: Iterable[Array], where: Where, remedy: str) -> None:
    """Raise `BadInput` where poses (4, 4) are mistaken all alike, with what they look like.

    A few that are invalid are frames in which tracking was lost: those are left out elsewhere.
    """
    known = [pose for pose in poses if np.isfinite(pose).all() and pose[:3, :3].any()]
    wrong = [pose for pose in known if not is_rigid(pose)]
    if not known or len(wrong) <= _SOME * len(known):
        return
    kinds = [_mistake(pose) for pose in wrong]
    common = max(dict.fromkeys(kinds), key=kinds.count)
    what = f"has poses that are no rigid motions: {common} ({len(wrong)} of {len(known)})"
    raise BadInput(where, what, remedy)


def require_intrinsics(
    matrix: Array, where: Where, remedy: str, size: tuple[int, int] | None = None
) -> Array:
    """`matrix` (3, 3) or (F, 3, 3), of images of `size` (width, height) if that is known.

    Raises `BadInput`, which says what is wrong, where it cannot be that of a pinhole camera.
    """
    for each in np.reshape(matrix, (-1, 3, 3)):
        if fault := _fault(each, size):
            raise BadInput(where, f"has intrinsics {fault}", remedy)
    return matrix


def _is_near(pose: Array) -> bool:
    return bool(np.isfinite(pose).all() and abs(pose[:3, 3]).max() < _FARTHEST)


def _last_row(pose: Array) -> bool:
    return bool(np.allclose(pose[3], [0, 0, 0, 1], rtol=0, atol=_LAST_ROW))


def _is_rotation(matrix: Array) -> bool:
    return _is_orthogonal(matrix) and float(np.linalg.det(matrix)) > 0


def _is_orthogonal(matrix: Array) -> bool:
    return float(abs(matrix @ matrix.T - np.eye(3)).max()) < _ROUNDED


def _mistake(pose: Array) -> str:
    """What a finite matrix that is no pose looks like."""
    rotation = pose[:3, :3]
    if not _last_row(pose):
        if is_rigid(pose.T):
            return "they are transposed, written column by column"
        row = " ".join(f"{value:g}" for value in pose[3])
        return f"the last row is {row} instead of 0 0 0 1"
    if not _is_near(pose):
        return f"positions are beyond {_FARTHEST:g} m"
    if _is_orthogonal(rotation):
        return "their axes are left-handed, as of a mirrored world"
    scale = float(np.sqrt(np.trace(rotation @ rotation.T) / 3))
    if scale > 0 and _is_orthogonal(rotation / scale):
        return f"their rotations are scaled by {scale:.3g}"
    return "their axes are not at right angles or not of length 1"


def _fault(matrix: Array, size: tuple[int, int] | None) -> str | None:
    if not np.isfinite(matrix).all():
        return "that are not finite"
    focal = abs(matrix[0, 0])
    if _lower(matrix, focal) and matrix[2, 2] == 1:
        return "that are transposed, written column by column"
    if not np.allclose(matrix[2], [0, 0, 1], rtol=0, atol=_LAST_ROW) or matrix[1, 0] != 0:
        return "whose lower rows are not 0 fy cy and 0 0 1"
    if not (matrix[0, 0] > 0 < matrix[1, 1]):
        return f"with focal lengths of {matrix[0, 0]:g} and {matrix[1, 1]:g} pixels"
    if abs(matrix[0, 1]) > _SKEW * focal:
        return f"with a skew of {matrix[0, 1]:g} pixels, which is not supported"
    if size is None:
        return None
    shown = f"images of {size[0]} x {size[1]} pixels"
    low, high = (share * max(size) for share in _FOCAL)
    if not (low <= matrix[0, 0] <= high and low <= matrix[1, 1] <= high):
        return f"with focal lengths of {matrix[0, 0]:g} and {matrix[1, 1]:g} pixels for {shown}"
    cx, cy = matrix[:2, 2]
    if not (-0.5 <= cx <= size[0] - 0.5 and -0.5 <= cy <= size[1] - 0.5):
        return f"whose principal point ({cx:g}, {cy:g}) is outside {shown}"
    return None


def _lower(matrix: Array, focal: float) -> bool:
    """Whether there is a principal point where the transposed has it, and none in its place."""
    there, here = abs(matrix[2, :2]).max(), abs(matrix[:2, 2]).max()
    return bool(there > _LAST_ROW * max(focal, 1) > here)
