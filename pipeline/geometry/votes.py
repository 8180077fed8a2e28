"""Majority votes by group: the points of a voxel, the voxels of a superpoint."""

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
