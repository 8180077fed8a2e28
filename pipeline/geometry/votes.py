"""Votes by group, by majority or by the mean: points of a voxel, voxels of a superpoint."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", bound=np.floating)


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


def mean_over(values: NDArray[Real], group: NDArray[np.integer]) -> NDArray[Real]:
    """Each row of `values` (M, C) as the mean of all rows of its `group` (M,), in the same dtype.

    Groups are any numbers >= 0; a row of group -1 keeps its own values. Sums are in float64, in
    the order of the rows.
    """
    inside = np.flatnonzero(group >= 0)
    names, member = np.unique(group[inside], return_inverse=True)
    count = np.bincount(member, minlength=len(names))
    found = values.copy()
    for column in range(values.shape[1]):
        total = np.bincount(member, values[inside, column], len(names))
        found[inside, column] = (total / count)[member]
    return found
