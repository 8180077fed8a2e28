"""Segments of a labelled cloud: connected voxels of one class."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.stages.voxels import z_order

# Half of the 26 neighbours of a voxel: each pair of neighbours is then found once.
_AHEAD = [
    (x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) > (0, 0, 0)
]


def connected_regions(coords: NDArray[np.integer], label: NDArray[np.integer]) -> NDArray[np.int32]:
    """The connected region (M,) of one class that each voxel is in, numbered from the largest.

    `coords` (M, 3) >= 0 has no repeats; voxels are neighbours if they share a corner. Regions are
    not instances: chairs that touch are one region. A voxel without a class (-1) is in none (-1).
    """
    cell = coords.astype(np.int64)
    key = z_order(cell)
    order = np.argsort(key)
    ordered = key[order]
    row, column = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for step in _AHEAD:
        moved = cell + step
        wanted = np.where((moved >= 0).all(axis=1), z_order(moved), -1)
        place = np.minimum(np.searchsorted(ordered, wanted), max(len(key) - 1, 0))
        met = np.flatnonzero(ordered[place] == wanted)
        other = order[place[met]]
        same = label[met] == label[other]
        row.append(met[same])
        column.append(other[same])
    first, second = np.concatenate(row), np.concatenate(column)
    edges = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(key), len(key)))
    count, region = connected_components(edges, directed=False)
    region = np.where(label >= 0, region, -1)
    size = np.bincount(region[region >= 0], minlength=count)
    rank = np.empty(count, np.int32)
    rank[np.argsort(-size, kind="stable")] = np.arange(count, dtype=np.int32)
    return np.where(region >= 0, rank[region], -1).astype(np.int32)
