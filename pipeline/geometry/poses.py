"""Checks of camera poses."""

import numpy as np
from numpy.typing import NDArray


def is_rigid(pose: NDArray[np.float64]) -> bool:
    """Whether a matrix (4, 4) can be a pose: finite, and of determinant 1 up to rounding (0.1).

    Where tracking was lost, recordings contain -inf, NaN or zeros.
    """
    return bool(np.isfinite(pose).all() and abs(np.linalg.det(pose[:3, :3]) - 1) < 0.1)
