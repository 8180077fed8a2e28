"""Graph-based segmentation (Felzenszwalb and Huttenlocher, IJCV 2004)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def segment_graph(
    nodes: int,
    first: NDArray[np.integer],
    second: NDArray[np.integer],
    weight: NDArray[np.floating],
    k: float,
    least: int,
) -> NDArray[np.int32]:
    """The segment of each of `nodes` nodes, named by the lowest of its nodes.

    The edges go from `first` (E,) to `second` (E,) with weights `weight` (E,). An edge merges two
    segments if its weight is at most the largest weight within each of them plus `k` over its size:
    a larger `k` gives larger segments. Finally, segments of fewer than `least` nodes are merged
    with a neighbour; they stay small only where their connected component is.
    """
    order = np.argsort(weight, kind="stable")
    edges = list(zip(first[order].tolist(), second[order].tolist(), strict=True))
    parent = list(range(nodes))
    size = [1] * nodes
    limit = [k] * nodes
    # Plain lists: element by element they are several times faster than arrays.
    for (a, b), w in zip(edges, weight[order].tolist(), strict=True):
        a, b = _find(parent, a), _find(parent, b)
        if a != b and w <= limit[a] and w <= limit[b]:
            a, b = _join(parent, size, a, b)
            limit[a] = w + k / size[a]
    for a, b in edges:
        a, b = _find(parent, a), _find(parent, b)
        if a != b and (size[a] < least or size[b] < least):
            _join(parent, size, a, b)
    return lowest_of([_find(parent, node) for node in range(nodes)])


def lowest_of(names: Sequence[int]) -> NDArray[np.int32]:
    """For each of some names (V,) the lowest index with the same name."""
    _, lowest, member = np.unique(names, return_index=True, return_inverse=True)
    return lowest[member].astype(np.int32)


def _find(parent: list[int], v: int) -> int:
    while parent[v] != v:
        parent[v] = v = parent[parent[v]]
    return v


def _join(parent: list[int], size: list[int], a: int, b: int) -> tuple[int, int]:
    """Merge two roots; returns both, the one that remains first."""
    if size[a] < size[b]:
        a, b = b, a
    parent[b] = a
    size[a] += size[b]
    return a, b
