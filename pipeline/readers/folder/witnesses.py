"""How many frames confirm each point of a fused cloud, and how many look through its place.

A frame looks through a place where all depth around its pixel is clearly behind it. Depth is kept
in cells of some pixels, as the nearest and the farthest around each, so that neither edges nor
surfaces at a slant count as contradictions, and a thousand frames need little memory.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from pipeline.errors import BadInput
from pipeline.geometry.cameras import project, transform, world_to_camera
from pipeline.geometry.pairs import OFFSET, SHARE

Array = NDArray[np.float64]

FEWEST = 500  # points: a quarter of a square metre at voxels of 2 cm
LEAST_KEPT = 0.5  # of the points: where fewer are left, frames contradict each other
_TOLD = 0.1  # share of the surface that one frame alone saw, from which it is told
_CLEAR = 3.0  # times the disagreement of right scans: nearer is noise
_WIDTH = 160  # cells in a row, at most
MAX_DEPTH = 5.0  # metres: beyond, sensors measure noise, and nothing is fused
_MUCH = 0.1  # of the measured pixels: more that is beyond is worth a sentence


@dataclass(frozen=True)
class Witness:
    """What one frame measured.

    Attributes:
        near, far: nearest and farthest depth (h, w) in metres about each cell; `near` is 0 where
            some pixel there has no depth, `far` where all have none.
        step: pixels along a cell.
        intrinsics: (3, 3), of the depth image.
        camera_to_world: (4, 4).
    """

    near: NDArray[np.float32]
    far: NDArray[np.float32]
    step: int
    intrinsics: Array
    camera_to_world: Array


def witness(depth: NDArray[np.floating], intrinsics: Array, camera_to_world: Array) -> Witness:
    """Keep of depth (H, W) in metres what tells whether a point is seen or looked through."""
    step = -(-depth.shape[1] // _WIDTH)
    window, depth = 2 * step + 1, depth.astype(np.float32)
    near, far = (f(depth, window, mode="nearest") for f in (minimum_filter, maximum_filter))
    cells = (slice(step // 2, None, step),) * 2
    return Witness(near[cells].copy(), far[cells].copy(), step, intrinsics, camera_to_world)


def count(witnesses: list[Witness], xyz: Array) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """How many frames see each point (N, 3), and how many look through its place: both (N,)."""
    seen, denied = np.zeros((2, len(xyz)), np.int32)
    for one in witnesses:
        inside = transform(world_to_camera(one.camera_to_world), xyz)
        z = inside[:, 2]
        front = np.flatnonzero(z > 0)
        cell = np.rint(project(one.intrinsics, inside[front])) // one.step
        height, width = one.near.shape
        there = ((cell >= 0) & (cell < (width, height))).all(1)
        point, (column, row) = front[there], cell[there].astype(int).T
        near, far, z = one.near[row, column], one.far[row, column], z[point]
        noise = _CLEAR * (OFFSET + SHARE * z)
        denied[point] += (near > 0) & (z < near - noise)
        seen[point] += (far > 0) & (z >= near - noise) & (z <= far + noise)
    return seen, denied


def kept(witnesses: list[Witness], xyz: Array) -> NDArray[np.bool_]:
    """Which points (N, 3) stay: those that more frames see than look through.

    Warns of the share that one frame alone saw. Raises `BadInput` where most points are
    contradicted, or hardly any is left.
    """
    seen, denied = count(witnesses, xyz)
    stay = (denied == 0) | (seen > denied)
    if stay.mean() < LEAST_KEPT:
        what = f"frames contradict each other: they look through {1 - stay.mean():.0%} of what"
        remedy = "run `python -m pipeline doctor --path` on the scan, which tries what is wrong"
        raise BadInput("poses and depth", f"{what} other frames see", remedy)
    if stay.sum() < FEWEST:
        what = f"give {stay.sum()} points together, less than a quarter of a square metre"
        remedy = "check the unit of depth and the intrinsics, or leave the scan out"
        raise BadInput("frames", what, remedy)
    alone = float((seen[stay] < 2).mean())
    if alone >= _TOLD:
        what = f"{alone:.0%} of the surface was seen by a single frame, and no other confirms it"
        warnings.warn(f"{what}.", stacklevel=3)
    return stay


def too_far(share: float) -> str | None:
    """A sentence about the share of the measured depth that is too far to be fused, if large."""
    if share <= _MUCH:
        return None
    what = f"{100 * share:.0f} % of the depth is beyond {MAX_DEPTH:g} m"
    return f"{what}, and left out of the points that depth gives."
