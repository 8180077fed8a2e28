"""Whether a cloud is as large as rooms are: most units other than the metre show."""

import os
import warnings

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput

MAX_HEIGHT = 50.0  # metres: higher than any room, lower than most rooms in centimetres
MAX_WIDTH = 500.0  # metres, of any building
FARTHEST = 1e4  # metres between any two points

_HALL = 6.5  # metres: higher than two floors, lower than most rooms in feet
_SMALL = 1.5  # metres: smaller than any room
_ROOM = (1.8, 4.5)  # metres: how high rooms are
_UNITS = {
    "millimetre": 0.001,
    "centimetre": 0.01,
    "inch": 0.0254,
    "decimetre": 0.1,
    "foot": 0.3048,
}


def require_metres(where: str | os.PathLike[str], xyz: NDArray[np.floating]) -> None:
    """Raise `BadInput` about `where` if points (N, 3), z up, are higher or wider than buildings.

    Warns where they are higher or smaller than most rooms. A few stray points do not matter, unless
    they are kilometres away.
    """
    low, high = np.percentile(xyz, (1, 99), axis=0)
    width, height = float((high - low)[:2].max()), float((high - low)[2])
    if height > MAX_HEIGHT or width > MAX_WIDTH:
        size = f"{height:.0f} m high" if height > MAX_HEIGHT else f"{width:.0f} m wide"
        what = f"is {size} if its unit is the metre{_as_a_room(height)}"
        raise BadInput(where, what, "convert it to metres, or set `up` to the axis that points up")
    extent = float(np.ptp(xyz, axis=0).max())
    if extent > FARTHEST:
        what = f"has stray points, up to {extent / 1000:,.0f} km from the others"
        raise BadInput(where, what, "remove them")
    if height > _HALL:
        what = f"is {height:.1f} m high, if its unit is the metre{_as_a_room(height)}"
        warnings.warn(f"{where}: {what}; labels are right in metres only.", stacklevel=2)
    elif 0 < max(width, height) < _SMALL:
        what = f"is {max(width, height):.2g} m wide, if its unit is the metre; rooms are larger"
        warnings.warn(f"{where}: {what}, and labels are right in metres only.", stacklevel=2)


def _as_a_room(height: float) -> str:
    """In which unit something so high would be a room, in words."""
    fitting = [
        f"{height * metres:.1f} m if it is the {unit}"
        for unit, metres in _UNITS.items()
        if _ROOM[0] <= height * metres <= _ROOM[1]
    ]
    return f", and {' or '.join(fitting)}" if fitting else ""
