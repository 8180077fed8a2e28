"""A room of planes whose depth, visibility and labels are known in closed form.

The room is the inside of an axis-aligned box and its furniture is solid boxes, so a ray meets
every surface at a depth that a formula gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Thing:
    """A part of the room that has one raw category."""

    name: str
    nyu40: int
    rgb: tuple[int, int, int]


@dataclass(frozen=True)
class Box:
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    things: tuple[int, int, int, int, int, int]  # thing of the faces x-, x+, y-, y+, z-, z+


@dataclass(frozen=True)
class Scene:
    """`room` is seen from inside, `solids` from outside; metres, z up."""

    things: tuple[Thing, ...]
    room: Box
    solids: tuple[Box, ...]


def box_room() -> Scene:
    """4 x 3 x 2.5 m with a cabinet against a wall and a table that hides a part of the floor."""
    things = (
        Thing("floor", 2, (150, 110, 70)),
        Thing("ceiling", 22, (235, 235, 235)),
        Thing("wall", 1, (200, 200, 180)),
        Thing("wall", 1, (180, 200, 200)),
        Thing("wall", 1, (200, 180, 200)),
        Thing("wall", 1, (190, 190, 210)),
        Thing("cabinet", 3, (60, 90, 160)),
        Thing("table", 7, (170, 60, 40)),
    )
    room = Box((0.0, 0.0, 0.0), (4.0, 3.0, 2.5), (2, 3, 4, 5, 0, 1))
    cabinet = Box((0.3, 2.4, 0.0), (1.3, 3.0, 1.6), (6,) * 6)
    table = Box((1.8, 1.0, 0.0), (2.8, 1.7, 0.7), (7,) * 6)
    return Scene(things, room, (cabinet, table))


def look_at(eye: Sequence[float], target: Sequence[float]) -> Array:
    """camera_to_world (4, 4) of an upright OpenCV camera at `eye` that looks at `target`."""
    forward = np.subtract(target, eye).astype(float)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(forward, right), forward, eye], axis=1)
    return pose


def cameras(n_frames: int) -> Array:
    """camera_to_world (n, 4, 4) on a ring inside `box_room`, each looking across the room."""
    angle = 2 * np.pi * np.arange(n_frames) / n_frames + 0.3
    eyes = np.stack([2.0 + 1.5 * np.cos(angle), 1.3 + 0.9 * np.sin(angle), 1.5 + 0 * angle], 1)
    targets = np.stack([2.0 - 1.2 * np.cos(angle), 1.4 - 0.9 * np.sin(angle), 0.5 + 0 * angle], 1)
    return np.stack([look_at(e, t) for e, t in zip(eyes, targets, strict=True)])


def color_intrinsics(size: tuple[int, int]) -> Array:
    """(3, 3) of a colour camera 60 degrees wide, its principal point a little off the centre."""
    width, height = size
    focal = 0.5 * width / np.tan(np.radians(30.0))
    return np.array([[focal, 0, width / 2 - 0.7], [0, 1.01 * focal, height / 2 + 0.4], [0, 0, 1.0]])


def depth_intrinsics(color: Array, size: tuple[int, int], depth_size: tuple[int, int]) -> Array:
    """The intrinsics of the registered depth, as ScanNet scales them (formats.md 1.4)."""
    scale = np.array(depth_size) / size
    centre = (np.array(depth_size) - 1.0) / (np.array(size) - 1.0)
    k = color.copy()
    k[[0, 1], [0, 1]] *= scale
    k[:2, 2] *= centre
    return k


def trace(scene: Scene, origin: Array, direction: Array) -> tuple[Array, NDArray[np.int32]]:
    """First hit of rays (R, 3) from inside the room: parameter t (R,) and thing (R,).

    The slab method: a ray leaves the room at the nearest exit plane and enters a solid at the
    farthest of its entry planes.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1.0 / direction
        low, high = _slabs(scene.room, origin, inverse)
        leave = np.maximum(low, high)
        axis = leave.argmin(1)
        t = leave.min(1)
        side = (direction[np.arange(len(t)), axis] > 0).astype(int)
        thing = np.array(scene.room.things, np.int32)[2 * axis + side]
        for solid in scene.solids:
            low, high = _slabs(solid, origin, inverse)
            enter, leave = np.minimum(low, high), np.maximum(low, high)
            axis = enter.argmax(1)
            near = enter.max(1)
            hit = (near > 0) & (near < leave.min(1)) & (near < t)
            side = (direction[np.arange(len(t)), axis] < 0).astype(int)
            t = np.where(hit, near, t)
            thing = np.where(hit, np.array(solid.things, np.int32)[2 * axis + side], thing)
    return t, thing


def _slabs(box: Box, origin: Array, inverse: Array) -> tuple[Array, Array]:
    return (np.array(box.low) - origin) * inverse, (np.array(box.high) - origin) * inverse


def render(
    scene: Scene, intrinsics: Array, camera_to_world: Array, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], Array, NDArray[np.int32]]:
    """Flat colour (h, w, 3), exact z-depth in metres (h, w) and thing (h, w)."""
    width, height = size
    v, u = np.mgrid[:height, :width].reshape(2, -1)
    ray = np.stack([u, v, np.ones_like(u)], 1) @ np.linalg.inv(intrinsics).T
    t, thing = trace(scene, camera_to_world[:3, 3], ray @ camera_to_world[:3, :3].T)
    rgb = np.array([x.rgb for x in scene.things], np.uint8)[thing]
    return rgb.reshape(height, width, 3), t.reshape(height, width), thing.reshape(height, width)


def visible(scene: Scene, xyz: Array, camera: Array, slack: float = 1e-6) -> NDArray[np.bool_]:
    """Whether nothing is between the camera's centre (3,) and each surface point (N, 3).

    Pure geometry: the view frustum and which way the camera looks are the caller's.
    """
    t, _ = trace(scene, camera, np.asarray(xyz, float) - camera)
    return t > 1.0 - slack


def distance_to_planes(scene: Scene, xyz: Array) -> Array:
    """Distance (N,) of points (N, 3) to the nearest surface of the room or of a solid."""
    found = []
    for box in (scene.room, *scene.solids):
        low, high = np.array(box.low), np.array(box.high)
        outside = np.maximum(np.maximum(low - xyz, xyz - high), 0.0)
        inside = np.minimum(xyz - low, high - xyz).min(1)
        found.append(np.where(inside > 0, inside, np.linalg.norm(outside, axis=1)))
    return np.min(found, axis=0)


@dataclass(frozen=True)
class Surface:
    """A mesh on the planes; no vertex is shared by two faces of a box."""

    vertices: NDArray[np.float32]  # (V, 3)
    faces: NDArray[np.int32]  # (T, 3), counter-clockwise seen from the free side
    normal: NDArray[np.float32]  # (V, 3), towards the free side
    thing: NDArray[np.int32]  # (V,)
    segment: NDArray[np.int32]  # (V,) one for each face of each box, a vertex's own index


def surface(scene: Scene, spacing: float = 0.1) -> Surface:
    """Every plane as a regular grid of vertices at most `spacing` metres apart."""
    parts = []
    first = 0
    for box, outwards in [(scene.room, -1), *((solid, 1) for solid in scene.solids)]:
        low, high = np.array(box.low), np.array(box.high)
        for plane in range(6):
            axis, side = divmod(plane, 2)
            a, b = (axis + 1) % 3, (axis + 2) % 3
            na, nb = np.ceil((high - low)[[a, b]] / spacing - 1e-9).astype(int) + 1
            xyz = np.empty((na, nb, 3))
            xyz[..., axis] = (low, high)[side][axis]
            xyz[..., a] = np.linspace(low[a], high[a], na)[:, None]
            xyz[..., b] = np.linspace(low[b], high[b], nb)
            index = first + np.arange(na * nb).reshape(na, nb)
            p, q, r, s = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
            faces = np.stack([np.stack([p, q, r], -1), np.stack([p, r, s], -1)]).reshape(-1, 3)
            sign = outwards * (1 if side else -1)
            normal = np.zeros((na * nb, 3))
            normal[:, axis] = sign
            thing, segment = np.full(na * nb, box.things[plane]), np.full(na * nb, first)
            parts.append((xyz.reshape(-1, 3), faces[:, ::sign], normal, thing, segment))
            first += na * nb
    vertices, faces, normal, thing, segment = (np.concatenate(x) for x in zip(*parts, strict=True))
    return Surface(
        vertices.astype(np.float32),
        faces.astype(np.int32),
        normal.astype(np.float32),
        thing.astype(np.int32),
        segment.astype(np.int32),
    )
