"""What belongs together by time: images and poses whose clocks differ by a little."""

import re

import numpy as np
from numpy.typing import NDArray

from pipeline.readers.folder.values import Array

MAX_GAP = 0.02  # seconds between images and poses that belong together


def nearest(times: Array, to: Array) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """For each time in `to` (n,) the index (n,) of the nearest of `times`, and whether it is near.

    Of two equally near times the earlier one counts.
    """
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    after = np.searchsorted(ordered, to).clip(max=len(times) - 1)
    before = (after - 1).clip(min=0)
    index = np.where(abs(ordered[before] - to) <= abs(ordered[after] - to), before, after)
    return order[index], abs(ordered[index] - to) <= MAX_GAP


def pairs(first: Array, second: Array) -> NDArray[np.intp]:
    """The rows (i, j) of times (n,) and (m,) that are near, each the nearest of the other."""
    partner, near = nearest(second, first)
    back, _ = nearest(first, second)
    found = np.flatnonzero(near & (back[partner] == np.arange(len(first))))
    return np.stack([found, partner[found]], axis=1)


def seconds_of(name: str) -> float | None:
    """The time that a name is: seconds with a point, or a long number; None for another name."""
    match = re.fullmatch(r"[^0-9.]*([0-9]{1,12}\.[0-9]{1,12}|[0-9]{13,19})", name)
    return in_seconds(float(match[1])) if match else None


def in_seconds(time: float) -> float:
    """A time since 1970 in seconds, which may be given in milli-, micro- or nanoseconds."""
    for unit, least in ((1e9, 1e17), (1e6, 1e14), (1e3, 1e11)):
        if time >= least:
            return time / unit
    return time
