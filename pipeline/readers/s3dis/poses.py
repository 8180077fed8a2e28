"""The pose file of an image of 2D-3D-S.

Its pixel coordinates count from the corner of the image, so that the centre of the first pixel is
(0.5, 0.5), and its `camera_rt_matrix` takes world to camera; both are converted to the conventions
of this project (see `pipeline.scan`).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.geometry.poses import require_intrinsics

DOWNLOAD = "download it again"
_SKEW = 1e-3  # allowed deviation of R R^T from the identity: the files have six digits


def read_pose(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intrinsics (3, 3) and camera_to_world (4, 4), all -inf where the file's is not finite.

    Raises `BadInput` where the file does not contain a camera.
    """
    try:
        pose = json.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", DOWNLOAD) from None
    except (ValueError, RecursionError):
        raise BadInput(path, "is not a complete JSON file", DOWNLOAD) from None
    intrinsics = _matrix(path, pose, "camera_k_matrix", 3)
    require_intrinsics(intrinsics, path, DOWNLOAD)
    intrinsics[:2, 2] -= 0.5
    to_camera = _matrix(path, pose, "camera_rt_matrix", 4)
    camera_to_world = np.full((4, 4), -np.inf)
    if np.isfinite(to_camera).all():
        rotation, shift = to_camera[:, :3], to_camera[:, 3]
        orthogonal = abs(rotation @ rotation.T - np.eye(3)).max() < _SKEW
        if not (orthogonal and np.linalg.det(rotation) > 0):
            raise BadInput(path, "has a camera_rt_matrix that is not a rotation", DOWNLOAD)
        camera_to_world = np.eye(4)
        camera_to_world[:3] = np.column_stack([rotation.T, -rotation.T @ shift])
    return intrinsics, camera_to_world


def _matrix(path: Path, pose: Any, name: str, columns: int) -> NDArray[np.float64]:
    try:
        matrix = np.array(pose[name], np.float64)
    except (ValueError, TypeError, LookupError, OverflowError):
        matrix = np.empty(0)
    if matrix.shape != (3, columns):
        raise BadInput(path, f"has no {name} of 3 x {columns} numbers", DOWNLOAD)
    return matrix
