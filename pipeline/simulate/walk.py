"""How a person carries the camera through a room."""

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.world import World


def camera_path(world: World, seed: int, n_frames: int) -> NDArray[np.float64]:
    """camera_to_world (n_frames, 4, 4) of a scan of the room, wholly given by `seed`."""
    rng = np.random.default_rng([seed, 1])
    middle = world.outline.mean(0)
    extent = np.ptp(world.outline, axis=0)
    poses = np.zeros((n_frames, 4, 4))
    start = rng.uniform(0, 2 * np.pi)
    for i, a in enumerate(start + np.linspace(0, 2 * np.pi, n_frames, endpoint=False)):
        eye = np.array([*(middle + 0.38 * extent * [np.cos(a), np.sin(a)]), 1.5])
        poses[i] = look_at(eye, np.array([*(middle - 0.3 * extent * [np.cos(a), np.sin(a)]), 0.6]))
    return poses


def look_at(eye: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """camera_to_world (4, 4) of a level camera at `eye` (3,) that looks at `target` (3,)."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
    pose[:3, 3] = eye
    return pose
