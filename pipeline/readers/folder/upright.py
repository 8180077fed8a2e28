"""Which way is up: this project's worlds have z up, those of cameras and phones often not."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.cameras import is_rigid

Array = NDArray[np.float64]

_UPRIGHT = 0.7  # of the mean of the cameras' up: an axis that has as much is up
_LEVEL = 0.3  # of it along z: with more, z may well be up

_TURNS = {
    "z": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "y": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "-y": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
    "x": [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
    "-x": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
}


def turn_up(up: str) -> Array:
    """The rotation (3, 3) that takes the axis `up` ("z", "y", "-y", "x", "-x") to z, exactly."""
    return np.array(_TURNS[up], np.float64)


def guess_up(camera_to_world: Sequence[Array]) -> str:
    """The axis that most of the cameras (4, 4) hold up; "z" unless another one is plain.

    Over a walk through a room the leanings of the cameras cancel. Upside down ("-z") is never
    guessed: it is what poses with OpenGL's axes look like.
    """
    ups = [-pose[:3, 1] for pose in camera_to_world if is_rigid(pose)]
    if not ups:
        return "z"
    x, y, z = np.mean(ups, axis=0)
    value, axis = max((abs(x), "x" if x > 0 else "-x"), (abs(y), "y" if y > 0 else "-y"))
    return axis if value >= _UPRIGHT and abs(z) <= _LEVEL else "z"
