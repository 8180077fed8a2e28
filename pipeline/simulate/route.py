"""The free floor of a room, and a round trip over it."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter1d, label
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra

from pipeline.simulate.raycast import Rays
from pipeline.simulate.world import World

_CELL = 0.1  # metres of the floor grid
_STRIDE = 1.2  # metres between the places that the path visits
_STEP = 0.05  # metres between the points of the path

_HIGHEST_EYE = 1.7  # metres

Points = NDArray[np.float64]


def round_trip(world: World, rays: Rays, rng: np.random.Generator) -> Points:
    """A smooth closed path (n, 2) in metres over the room's free floor, in steps of about 5 cm."""
    cells, clearance, corner = _free_floor(world, rays)
    return _path(cells, clearance, rng) * _CELL + corner + _CELL / 2


def _free_floor(world: World, rays: Rays) -> tuple[NDArray[np.bool_], Points, Points]:
    """Grid cells (rows along x) where the camera may be, the distance of each cell to obstacles in
    cells, and the position (2,) of the grid's corner."""
    corner = world.outline.min(0)
    shape = np.maximum(np.ceil(np.ptp(world.outline, axis=0) / _CELL).astype(int), 1)
    x, y = np.meshgrid(*(np.arange(n) * _CELL + _CELL / 2 for n in shape), indexing="ij")
    down = np.zeros((x.size, 6))
    down[:, 0], down[:, 1] = x.ravel() + corner[0], y.ravel() + corner[1]
    down[:, 2], down[:, 5] = world.height - 0.01, -1
    fall, _, _ = rays.first_hit(down)
    top = np.where(np.isfinite(fall), world.height - 0.01 - fall, np.inf).reshape(shape)
    # Where furniture leaves little free floor, the arm reaches over beds and low tables.
    for highest, margin in ((0.15, 2.5), (0.85, 2.0), (1.0, 1.0)):
        blocked = np.pad(top > highest, 1, constant_values=True)
        distance = distance_transform_edt(~blocked)[1:-1, 1:-1]
        # Rays downwards miss thin things such as curtains; horizontal rays miss hollow ones.
        for z in np.linspace(highest + 0.2, _HIGHEST_EYE, 6):
            around = rays.distance(np.column_stack([down[:, :2], np.full(x.size, z)]))
            distance = np.minimum(distance, around.reshape(shape) / _CELL)
        regions, count = label(distance > margin)
        if count:
            sizes = np.bincount(regions.ravel())[1:]
            enough = max(0.5 / _CELL**2, 0.15 * np.isfinite(top).sum())
            if sizes.max() > enough or highest == 1.0:
                return regions == 1 + sizes.argmax(), distance, corner
    middle = np.zeros(shape, bool)
    middle[np.unravel_index(distance.argmax(), shape)] = True
    return middle, distance, corner


def _path(cells: NDArray[np.bool_], clearance: Points, rng: np.random.Generator) -> Points:
    """A smooth closed path (n, 2) in cell units that visits all parts of the free cells."""
    free = np.argwhere(cells)
    index = np.full(cells.shape, -1)
    index[tuple(free.T)] = np.arange(len(free))
    graph = _neighbours(index, free, clearance)
    stops = [int(rng.integers(len(free)))]
    away = np.full(len(free), np.inf)
    while True:  # farthest point first, until every cell is near a stop
        away = np.minimum(away, np.linalg.norm(free - free[stops[-1]], axis=1) * _CELL)
        if away.max() < _STRIDE or len(stops) == 16:
            break
        stops.append(int(away.argmax()))
    far, before = dijkstra(graph, indices=stops, return_predecessors=True)
    order, left = [0], set(range(1, len(stops)))
    while left:  # the nearest stop next
        nearest = min(left, key=lambda stop: far[order[-1], stops[stop]])
        order.append(nearest)
        left.remove(nearest)
    route: list[int] = []
    for one, two in zip(order, [*order[1:], order[0]], strict=True):
        leg, at = [], stops[two]
        while at != stops[one] and at >= 0:
            leg.append(at)
            at = before[one, at]
        route += leg[::-1]
    points = free[route or [stops[0]]].astype(np.float64)
    fine = max(1, round(_CELL / _STEP))
    dense = np.repeat(points, fine, axis=0)
    smooth = gaussian_filter1d(dense, 0.25 / _STEP, axis=0, mode="wrap")
    near = np.clip(np.round(smooth).astype(int), 0, np.array(cells.shape) - 1)
    stays = cells[tuple(near.T)]
    # Where smoothing would cut a corner through a margin, the less smoothed grid path is kept.
    return gaussian_filter1d(np.where(stays[:, None], smooth, dense), 2, axis=0, mode="wrap")


def _neighbours(index: NDArray[np.int64], free: NDArray[np.int64], clearance: Points) -> csr_matrix:
    """Graph of the free cells and their eight neighbours; narrow places cost more."""
    padded = np.pad(index, 1, constant_values=-1)
    rows, columns, costs = [], [], []
    for step in ((0, 1), (1, 0), (1, 1), (1, -1)):
        other = padded[tuple((free + 1 + step).T)]
        there = np.flatnonzero(other >= 0)
        length = np.hypot(*step) * (1 + 4 / clearance[tuple(free[there].T)])
        rows += [there, other[there]]
        columns += [other[there], there]
        costs += [length, length]
    size = (len(free), len(free))
    return coo_matrix(
        (np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns))), size
    ).tocsr()
