"""Which way is up: z in this project, often another axis in recordings of cameras and phones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.poses import is_rigid

Array = NDArray[np.float64]

_UPRIGHT = 0.7  # an axis with at least this component of the cameras' mean up vector is up
_LEVEL = 0.3  # unless its z component is larger than this: then z may be up

_TURNS = {
    "z": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "y": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "-y": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
    "-z": [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
    "x": [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
    "-x": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
}


def turn_up(up: str) -> Array:
    """The rotation (3, 3) that takes the axis `up`, one of `_TURNS`, to z, exactly."""
    return np.array(_TURNS[up], np.float64)


def guess_up(camera_to_world: Sequence[Array]) -> str:
    """The axis that is up for most of the cameras (4, 4); "z" unless another one is clear.

    Over a walk through a room the tilts of the cameras cancel. They are taken to be held upright,
    so that a world in which they are all upside down has z down.
    """
    ups = [-pose[:3, 1] for pose in camera_to_world if is_rigid(pose)]
    if not ups:
        return "z"
    x, y, z = np.mean(ups, axis=0)
    if z <= -_UPRIGHT:
        return "-z"
    value, axis = max((abs(x), "x" if x > 0 else "-x"), (abs(y), "y" if y > 0 else "-y"))
    return axis if value >= _UPRIGHT and abs(z) <= _LEVEL else "z"
