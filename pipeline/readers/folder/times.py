"""What belongs together by time: images and poses whose clocks differ by a little."""

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
