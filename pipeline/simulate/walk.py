"""How a person carries the camera through a room.

The camera goes round a closed path over free floor and turns, from key pose to key pose, to what
has not been seen yet.
"""

import numpy as np
import open3d as o3d
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter1d, label
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from pipeline.simulate.world import World

_CELL = 0.1  # metres of the floor grid
_STRIDE = 0.9  # metres between the places that the path visits
_STEP = 0.05  # metres between the points of the path
_BACKGROUND = {1: 0.4, 2: 0.3, 22: 0.0}  # what a square metre of wall, floor, ceiling is worth

Points = NDArray[np.float64]


def camera_path(world: World, seed: int, n_frames: int) -> NDArray[np.float64]:
    """camera_to_world (n_frames, 4, 4) of a scan of the room, wholly given by `seed`.

    The camera is 1.2 to 1.7 m high, at least 0.2 m from walls and from furniture of that height.
    """
    rng = np.random.default_rng([seed, 1])
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(
        o3d.core.Tensor(world.vertices), o3d.core.Tensor(world.faces.astype(np.uint32))
    )
    cells, clearance, corner = _free_floor(world, scene)
    path = _round_trip(cells, clearance, rng) * _CELL + corner + _CELL / 2
    along = np.linspace(0, len(path), n_frames, endpoint=False).astype(int)
    eye = np.column_stack([path[along], _wander(rng, n_frames, rng.uniform(1.32, 1.58), 0.08)])

    keys = np.linspace(0, n_frames, min(n_frames, max(8, n_frames // 5)), endpoint=False)
    keys = keys.astype(int)
    yaw, pitch = _look_round(world, scene, eye[keys], rng)
    frames = np.arange(n_frames)
    # A turn starts and ends softly; the hand is never quite still.
    yaw = _wander(rng, n_frames, _eased(frames, keys, np.unwrap(yaw)), 0.04)
    pitch = _wander(rng, n_frames, _eased(frames, keys, pitch), 0.03)
    roll = _wander(rng, n_frames, 0.0, 0.03)
    return np.stack([pose(*values) for values in zip(eye, yaw, pitch, roll, strict=True)])


def pose(eye: Points, yaw: float, pitch: float, roll: float = 0.0) -> NDArray[np.float64]:
    """camera_to_world (4, 4) at `eye` (3,); angles in radians: yaw anticlockwise from +x, pitch
    upwards, roll about the line of sight."""
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([c * right + s * down, c * down - s * right, forward], 1)
    matrix[:3, 3] = eye
    return matrix


def _free_floor(
    world: World, scene: o3d.t.geometry.RaycastingScene
) -> tuple[NDArray[np.bool_], Points, Points]:
    """Grid cells (rows along x) where the camera may be, the distance of each cell to what is in
    the way in cells, and the position (2,) of the grid's corner."""
    corner = world.outline.min(0)
    shape = np.maximum(np.ceil(np.ptp(world.outline, axis=0) / _CELL).astype(int), 1)
    x, y = np.meshgrid(*(np.arange(n) * _CELL + _CELL / 2 for n in shape), indexing="ij")
    rays = np.zeros((x.size, 6), np.float32)
    rays[:, 0], rays[:, 1] = x.ravel() + corner[0], y.ravel() + corner[1]
    rays[:, 2], rays[:, 5] = world.height - 0.01, -1
    fall = scene.cast_rays(o3d.core.Tensor(rays), nthreads=1)["t_hit"].numpy()
    top = np.where(np.isfinite(fall), world.height - 0.01 - fall, np.inf).reshape(shape)
    # Where furniture leaves no floor to walk on, the arm reaches over beds and low tables.
    for highest, margin in ((0.15, 2.5), (0.85, 2.0), (1.0, 1.0)):
        blocked = np.pad(top > highest, 1, constant_values=True)
        distance = distance_transform_edt(~blocked)[1:-1, 1:-1]
        regions, count = label(distance > margin)
        if count:
            sizes = np.bincount(regions.ravel())[1:]
            cells = regions == 1 + sizes.argmax()
            if sizes.max() * _CELL**2 > 0.5 or highest == 1.0:
                return cells, distance, corner
    middle = np.zeros(shape, bool)
    middle[np.unravel_index(distance.argmax(), shape)] = True
    return middle, distance, corner


def _round_trip(cells: NDArray[np.bool_], clearance: Points, rng: np.random.Generator) -> Points:
    """A smooth closed path (n, 2) in cell units that visits places all over the free cells."""
    free = np.argwhere(cells)
    index = np.full(cells.shape, -1)
    index[tuple(free.T)] = np.arange(len(free))
    graph = _neighbours(index, free, clearance)
    stops = [int(rng.integers(len(free)))]
    away = np.full(len(free), np.inf)
    while True:  # farthest point first, until all is near some stop
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
    # A smoothed corner that cuts through a margin keeps to the grid's own path.
    return np.where(stays[:, None], smooth, dense)


def _neighbours(index: NDArray[np.int64], free: NDArray[np.int64], clearance: Points) -> coo_matrix:
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


def _look_round(
    world: World, scene: o3d.t.geometry.RaycastingScene, eyes: Points, rng: np.random.Generator
) -> tuple[Points, Points]:
    """Yaw and pitch (n,) at each key position: greedily towards what is new, near and furnished."""
    azimuth = np.arange(72) * (2 * np.pi / 72)
    elevation = np.radians(np.arange(-60, 26, 5))
    a, e = np.meshgrid(azimuth, elevation, indexing="ij")
    rays = np.stack([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)], -1)
    worth = np.array([_BACKGROUND.get(thing.nyu40, 1.0) for thing in world.things])
    seen: set[int] = set()
    yaws, pitches = [], []
    for eye in eyes:
        origin = np.broadcast_to(eye, (rays.size // 3, 3))
        both = np.concatenate([origin, rays.reshape(-1, 3)], 1).astype(np.float32)
        cast = scene.cast_rays(o3d.core.Tensor(both), nthreads=1)
        distance = cast["t_hit"].numpy().astype(np.float64)
        solid = np.isfinite(distance)
        face = np.where(solid, cast["primitive_ids"].numpy().astype(np.int64), 0)
        distance = np.where(solid, distance, 9.0)
        place = np.floor((eye + rays.reshape(-1, 3) * distance[:, None]) / 0.25).astype(int) + 200
        block = (place[:, 0] * 1000 + place[:, 1]) * 1000 + place[:, 2]
        value = np.where(solid, worth[world.face_thing[face]], 0)
        value = value * (distance > 0.7) * (distance < 4.5) * np.minimum(distance, 2.0)
        fresh = ~np.isin(block, np.fromiter(seen, np.int64, len(seen)))
        gain = (value * (0.25 + fresh)).reshape(a.shape)
        gain -= ((distance < 0.8) * 0.7).reshape(a.shape)  # filled by something close
        best, choice = -np.inf, (0.0, 0.0)
        for pitch in np.radians([-30.0, -20.0, -10.0]):
            rows = np.abs(elevation - pitch) < np.radians(24)
            column = gain[:, rows].sum(1)
            for view in range(0, 72, 3):
                yaw = azimuth[view]
                total = column[np.arange(view - 6, view + 7) % 72].sum()
                if yaws:
                    turn = abs((yaw - yaws[-1] + np.pi) % (2 * np.pi) - np.pi)
                    total -= 40 * max(0.0, turn - np.pi / 3)
                if (total := total + rng.uniform(0, 5)) > best:
                    best, choice = total, (float(yaw), float(pitch))
        yaws.append(choice[0])
        pitches.append(choice[1])
        ahead = np.abs((a.ravel() - choice[0] + np.pi) % (2 * np.pi) - np.pi) < np.radians(30)
        level = np.abs(e.ravel() - choice[1]) < np.radians(24)
        seen.update(block[ahead & level].tolist())
    return np.array(yaws), np.array(pitches)


def _eased(frames: NDArray[np.int64], keys: NDArray[np.int64], values: Points) -> Points:
    """Values (n,) at all frames, going softly from key to key and holding the last."""
    piece = np.clip(np.searchsorted(keys, frames, side="right") - 1, 0, len(keys) - 1)
    after = np.minimum(piece + 1, len(keys) - 1)
    span = np.maximum(keys[after] - keys[piece], 1)
    t = np.clip((frames - keys[piece]) / span, 0, 1)
    return values[piece] + (t * t * (3 - 2 * t)) * (values[after] - values[piece])


def _wander(
    rng: np.random.Generator, count: int, around: float | Points, spread: float
) -> Points:
    """Slowly varying values (count,) within about `spread` of others."""
    slow = gaussian_filter1d(rng.normal(size=count), 3, mode="wrap") * 3.2
    return around + spread * np.clip(slow, -1.5, 1.5)
