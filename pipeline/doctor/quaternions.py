"""Poses whose quaternions were read with their four numbers in another order than was written."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.doctor.readings import Reading, inverted, of_poses
from pipeline.doctor.views import Array
from pipeline.scan import RawFrames

_ORDERS = (("w, x, y, z", "x, y, z, w", -1), ("x, y, z, w", "w, x, y, z", 1))


def readings(raw: RawFrames) -> Iterator[Reading]:
    """Readings of both other orders, of poses of either direction."""
    world = np.eye(4)  # from the file's to that of the frames, where a reader turned it
    world[:3, :3] = getattr(raw, "turn", np.eye(3))
    world[:3, 3] = -np.asarray(getattr(raw, "offset", np.zeros(3)))
    for own, read, by in _ORDERS:
        said = f"the poses look like those of quaternions {own}"
        remedy = f"write them in the order {read}"
        rolled = partial(_rolled, by=by)
        each: tuple[tuple[str, str, Callable[[Array], Array]], ...] = (
            (f"{said} that are read as {read}", remedy, rolled),
            (
                f"{said} of world-to-camera poses that are read as {read}",
                remedy,
                partial(_inside, change=rolled),
            ),
            (
                f"{said} that are read as {read}, and world-to-camera",
                f"{remedy}, then invert each",
                partial(_then_inverted, change=rolled),
            ),
        )
        for what, then, change in each:
            yield of_poses(what, then, partial(_within, world=world, change=change))


def _inside(pose: Array, change: Callable[[Array], Array]) -> Array:
    return inverted(change(inverted(pose)))


def _then_inverted(pose: Array, change: Callable[[Array], Array]) -> Array:
    return inverted(change(pose))


def _within(pose: Array, world: Array, change: Callable[[Array], Array]) -> Array:
    return np.asarray(world @ change(inverted(world) @ pose))


def _rolled(pose: Array, by: int) -> Array:
    """A pose (4, 4) with the numbers of its quaternion, x, y, z, w, `by` places later."""
    found = pose.copy()
    quaternion = np.roll(Rotation.from_matrix(pose[:3, :3]).as_quat(), by)
    found[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    return found
