"""Votes and means by group: the points of a voxel, the voxels of a superpoint."""

import numpy as np
from numpy.typing import NDArray


def majority(
    ballot: NDArray[np.integer], group: NDArray[np.integer], groups: int
) -> NDArray[np.int64]:
    """The most frequent ballot of each of `groups` groups (G,), the lowest in a tie.

    `ballot` (N,) and `group` (N,), the latter in 0..G-1. Negative ballots do not count; a group
    without any other gets -1.
    """
    cast = ballot >= 0
    names, name = np.unique(ballot[cast], return_inverse=True)
    pair, votes = np.unique(group[cast].astype(np.int64) * len(names) + name, return_counts=True)
    voter, name = np.divmod(pair, max(len(names), 1))
    best_first = np.lexsort((name, -votes, voter))
    winner, first = np.unique(voter[best_first], return_index=True)
    won = np.full(groups, -1, np.int64)
    won[winner] = names[name[best_first[first]]]
    return won


def mean_over(values: NDArray[np.floating], group: NDArray[np.integer]) -> NDArray[np.float64]:
    """The mean (M, C) of values (M, C) over each row's group (M,); rows of group -1 keep theirs."""
    mean = values.astype(np.float64)
    inside = np.flatnonzero(group >= 0)
    if len(inside) == 0:
        return mean
    _, of_row, count = np.unique(group[inside], return_inverse=True, return_counts=True)
    sums = [np.bincount(of_row, column) / count for column in mean[inside].T]
    mean[inside] = np.stack(sums, axis=1)[of_row]
    return mean
