"""Whether the images of a scan see the surfaces on which its points are.

Depth is un-projected through the poses and compared with the nearest points. This reveals faults
that no single file shows: poses in other coordinates, a rotated room, mixed-up releases.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.errors import BadInput
from pipeline.geometry.cameras import transform, unproject
from pipeline.scan import Cloud, RawFrames

Array = NDArray[np.float64]

LIMIT = 0.05  # metres between the surfaces in the images and the points

_FRAMES = 24
_PIXELS = 400  # per frame
_POINTS = 1_000_000  # of the cloud
_STEPS = 20
_MARGIN = 0.5  # metres around the cloud's bounding box: beyond, a pixel sees another room
_INSIDE = 0.2  # of the pixels; with fewer inside all are compared
_SHARE = 0.7  # of the pixels inside: the others may see what the cloud lacks
_CAP = 0.3  # metres at which distances are clipped when rotations and shifts are compared
_FAIR = 0.02  # metres of mean misfit below which no rotation is tried
_COMPARED = 2000  # pixels of all frames, for each order of axes
_FIT = 0.8  # what leaves this share of the disagreement or less explains it


@dataclass(frozen=True)
class Agreement:
    """The distance between the images and the points of a scan."""

    distance: float  # metres within which 7 of 10 pixels see a surface from some point
    shift: Array  # (3,) metres: the translation of the images that fits best
    turn: int  # degrees (0, 90, 180, 270) of the rotation about z through the centre that fits best
    axes: bool = False  # whether they fit with the axes of one in another order, or mirrored

    @property
    def offset(self) -> float:
        """Metres: the larger of the distance and the shift."""
        return max(self.distance, float(np.linalg.norm(self.shift)))


def require(frames: RawFrames, cloud: Cloud, scan: str, limit: float = LIMIT) -> Agreement:
    """Measure; raise `BadInput` that states the offset where it is above `limit` (metres).

    Warns where it is below, but larger than right scans show.
    """
    found = measure(frames, cloud)
    if found.offset <= limit and found.turn == 0 and not found.axes:
        if found.offset > LIMIT:
            what = f"disagree by {100 * found.offset:.0f} cm, those of right scans by less than"
            more = f"{100 * LIMIT:.0f} cm; `python -m pipeline doctor` says more"
            warnings.warn(f"{scan}: its images and its points {what} {more}.", stacklevel=2)
        return found
    explained = f", as if one were turned by {found.turn} degrees" if found.turn else ""
    if found.axes:
        explained = ", as if the axes of one were in another order or mirrored"
    raise BadInput(
        scan,
        f"its images and its points disagree by {100 * found.offset:.0f} cm{explained} "
        f"(7 of 10 pixels see a surface within {100 * found.distance:.1f} cm of a point)",
        "check that both are of the same room and release, or leave it out",
    )


def measure(frames: RawFrames, cloud: Cloud) -> Agreement:
    """Compare up to 24 frames of a scan, spread over it, with its cloud.

    Raises `BadInput` where no frame with a pose has depth.
    """
    every = -(-len(cloud.xyz) // _POINTS)
    points = cloud.xyz[::every].astype(np.float64)
    normal = cloud.normal[::every].astype(np.float64)
    tree = cKDTree(points)
    low, high = points.min(0), points.max(0)
    seen = seen_points(frames)
    inside = ((seen >= low - _MARGIN) & (seen <= high + _MARGIN)).all(1)
    if inside.mean() >= _INSIDE:
        seen = seen[inside]

    def misfit(xyz: Array) -> float:
        return float(np.minimum(tree.query(xyz)[0], _CAP).mean())

    found = misfit(seen)
    turns = {turn: misfit(_turned(seen, turn, (low + high) / 2)) for turn in (90, 180, 270)}
    best = min(turns, key=lambda turn: turns[turn])
    # In a nearly symmetric room walls fit walls: only furniture distinguishes the rotations.
    turn = best if found > _FAIR and turns[best] < _FIT * found else 0
    shift = _best_shift(tree, points, normal, seen)
    if turn or misfit(seen + shift) > _FIT * found:
        shift = np.zeros(3)  # it explains nothing: the misfit does not shrink
    axes = not turn and found > _FAIR and _fits_otherwise(misfit, seen, (low + high) / 2)
    return Agreement(float(np.quantile(tree.query(seen)[0], _SHARE)), shift, turn, axes)


def _fits_otherwise(misfit: Callable[[Array], float], seen: Array, middle: Array) -> bool:
    """Whether points (P, 3) fit better with their axes in another order, or mirrored.

    Columns are exchanged about the origin; about the middle (3,) of the cloud only signs change.
    """
    some = seen[:: -(-len(seen) // _COMPARED)]
    signs = np.array(list(product((1, -1), repeat=3)))
    orders = [some[:, list(order)] * sign for order in permutations(range(3)) for sign in signs]
    mirrored = [(some - middle) * sign + middle for sign in signs]
    as_it_is, *others = map(misfit, [*orders, *mirrored])
    return min(others) < _FIT * as_it_is


def seen_points(frames: RawFrames) -> Array:
    """World coordinates (P, 3) of the surfaces in pixels of some frames, spread over the scan."""
    valid = [i for i, each in enumerate(frames.frame_ids) if np.isfinite(frames.pose(each)).all()]
    places = np.unique(np.linspace(0, len(valid) - 1, _FRAMES).astype(int)) if valid else ()
    chosen = [valid[i] for i in places]
    width, height = frames.depth_size
    matrices = np.broadcast_to(frames.depth_intrinsics, (len(frames.frame_ids), 3, 3))
    step = max(1, int(np.sqrt(width * height / _PIXELS)))
    v, u = (axis.ravel() for axis in np.mgrid[step // 2 : height : step, step // 2 : width : step])
    found = []
    for i in chosen:
        frame = frames.read(frames.frame_ids[i])
        depth = frame.depth[v, u] / frames.depth_scale
        there = depth > 0
        uv = np.column_stack([u, v])[there].astype(np.float64)
        found.append(transform(frame.camera_to_world, unproject(matrices[i], uv, depth[there])))
    if not sum(map(len, found)):
        raise BadInput("frames", "no frame with a pose has depth", "leave the scan out")
    return np.concatenate(found)


def _turned(xyz: Array, angle: int, middle: Array) -> Array:
    """Points (P, 3) rotated by `angle` degrees about the vertical line through `middle` (3,)."""
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    about_z = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    return (xyz - middle) @ about_z.T + middle


def _best_shift(tree: cKDTree, points: Array, normal: Array, seen: Array) -> Array:
    """The translation (3,) that moves `seen` (P, 3) onto the planes of the nearest points.

    Point to plane (Chen and Medioni, 1992): a wall says nothing about shifts along it.
    """
    shift = np.zeros(3)
    for _ in range(_STEPS):
        moved = seen + shift
        distance, nearest = tree.query(moved)
        near = distance <= 2 * _CAP
        n = normal[nearest[near]]
        away = ((points[nearest[near]] - moved[near]) * n).sum(1)
        # A small multiple of the identity fixes directions that no surface determines.
        step = np.linalg.solve(n.T @ n + 1e-3 * (len(n) + 1) * np.eye(3), n.T @ away)
        shift += step
        if np.linalg.norm(step) < 1e-4:
            break
    return shift
