"""The camera path of a person who scans a room.

The camera follows a closed path over free floor and turns, from key pose to key pose, towards parts
that have not been seen yet.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from pipeline.simulate.look import look_round
from pipeline.simulate.raycast import Rays
from pipeline.simulate.route import round_trip
from pipeline.simulate.world import World

Points = NDArray[np.float64]


def camera_path(world: World, seed: int, n_frames: int) -> NDArray[np.float64]:
    """camera_to_world (n_frames, 4, 4) of a scan of the room, determined by `seed`.

    The camera is 1.2 to 1.7 m high, at least 0.2 m from walls and from furniture of that height.
    """
    rng = np.random.default_rng([seed, 1])
    rays = Rays(world.vertices, world.faces)
    path = round_trip(world, rays, rng)
    closed = np.vstack([path, path[:1]])
    along = np.linspace(0, len(path), n_frames, endpoint=False)
    x, y = (np.interp(along, np.arange(len(closed)), closed[:, axis]) for axis in (0, 1))
    eye = np.column_stack([x, y, _wander(rng, n_frames, rng.uniform(1.32, 1.58), 0.08)])

    count = min(n_frames, max(10, n_frames // 3))
    keys = np.linspace(0, n_frames, count, endpoint=False).astype(np.int64)
    yaw, pitch = look_round(world, rays, eye[keys], rng)
    frames = np.arange(n_frames)
    # A turn starts and ends smoothly; the hand is never quite still.
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


def _eased(frames: NDArray[np.int64], keys: NDArray[np.int64], values: Points) -> Points:
    """Values (n,) at all frames, interpolated smoothly from key to key and constant at the end."""
    piece = np.clip(np.searchsorted(keys, frames, side="right") - 1, 0, len(keys) - 1)
    after = np.minimum(piece + 1, len(keys) - 1)
    span = np.maximum(keys[after] - keys[piece], 1)
    t = np.clip((frames - keys[piece]) / span, 0, 1)
    return values[piece] + (t * t * (3 - 2 * t)) * (values[after] - values[piece])


def _wander(rng: np.random.Generator, count: int, around: float | Points, spread: float) -> Points:
    """Slowly varying values (count,) within about `spread` of others."""
    slow = gaussian_filter1d(rng.normal(size=count), 3, mode="wrap") * 3.2
    return around + spread * np.clip(slow, -1.5, 1.5)
