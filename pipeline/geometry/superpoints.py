"""Normals and superpoints of a cloud that has neither, from positions and colours alone.

Points are grouped into cells, which bounds the work and evens out the density. Cells are connected
to their nearest neighbours, and the graph is segmented where the surface bends or its colour
changes, by the method that made ScanNet's segments from meshes (`graph_segments`).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.errors import BadInput
from pipeline.geometry.graph_segments import segment_graph

Array = NDArray[np.float64]

_CELL = 0.04  # metres
_MAX_EXTENT = 1e4  # metres, so that cells can be numbered
_NEIGHBOURS = 12  # cells used for a normal
_LINKED = 8  # of these, the nearest, connected by edges
_REACH = 2.6  # maximum distance of neighbours in cells
_COLOR = 1.0  # weight of a change from black to white, against 1 for a bend of 90 degrees
_K = 0.12
_LEAST = 12  # cells in a superpoint


def normals_and_superpoints(
    xyz: NDArray[np.floating], rgb: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Normal (N, 3) and superpoint (N,), numbered from 0, of points (N, 3) and colours (N, 3).

    Positions are in metres. Normals are of unit length, 0 where a point has too few neighbours, and
    point towards the centre of the cloud: into the room. All points of a cell (4 cm) share both.
    Raises `BadInput` where the cloud is wider than any building.
    """
    cell = _cells(xyz)
    count = np.bincount(cell)[:, None]
    centre, color = (_sums(values, cell) / count for values in (xyz, rgb))
    distance, neighbour = cKDTree(centre).query(
        centre, _NEIGHBOURS + 1, distance_upper_bound=_REACH * _CELL
    )
    near = np.isfinite(distance)
    neighbour = np.where(near, neighbour, np.arange(len(centre))[:, None])  # itself: no edge
    normal = _normals(centre, neighbour, near)
    normal *= np.where((normal * ((xyz.min(0) + xyz.max(0)) / 2 - centre)).sum(1) < 0, -1, 1)[
        :, None
    ]
    first = np.repeat(np.arange(len(centre)), _LINKED)
    second = neighbour[:, 1 : _LINKED + 1].ravel()
    first, second = np.minimum(first, second), np.maximum(first, second)
    pairs = np.unique((first * len(centre) + second)[first != second])
    first, second = np.divmod(pairs, len(centre))
    bend = 1 - np.abs((normal[first] * normal[second]).sum(1))
    change = np.linalg.norm(color[first] - color[second], axis=1) / (255 * np.sqrt(3))
    weight = bend + _COLOR * change
    name = segment_graph(len(centre), first, second, weight, _K, _LEAST)
    segment = np.unique(name, return_inverse=True)[1].astype(np.int32)
    return normal.astype(np.float32)[cell], segment[cell]


def _cells(xyz: NDArray[np.floating]) -> NDArray[np.int64]:
    """The number (N,) of the cell of each point, in an order that depends on positions only."""
    extent = float(np.ptp(xyz, axis=0).max())
    if not extent < _MAX_EXTENT:
        raise BadInput("cloud", f"is {extent:.3g} m wide", "check its unit, or leave it out")
    index = np.floor(xyz / _CELL).astype(np.int64)
    index -= index.min(0)
    key = np.ravel_multi_index(tuple(index.T), tuple(index.max(0) + 1))
    return np.unique(key, return_inverse=True)[1]


def _sums(values: NDArray, cell: NDArray[np.int64]) -> Array:
    return np.stack([np.bincount(cell, column) for column in values.T], axis=1)


def _normals(centre: Array, neighbour: NDArray[np.int64], near: NDArray[np.bool_]) -> Array:
    """The direction (M, 3) of least spread of the neighbours (M, k) of a cell."""
    share = near / near.sum(1, keepdims=True)
    away = centre[neighbour] - centre[:, None]
    away -= (share[..., None] * away).sum(1)[:, None]
    spread = np.einsum("mk,mki,mkj->mij", share, away, away)
    normal = np.linalg.eigh(spread)[1][..., 0]
    return np.where(near.sum(1)[:, None] >= 3, normal, 0)
