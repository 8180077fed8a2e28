"""By how much frames disagree about the surfaces that several of them see.

The pixels of each frame are projected into every other frame and compared with its depth there.
What another frame sees nearer may hide them, which is no fault; but a frame that looks through
their place to something behind contradicts them. Where poses, units and cameras are right, that
contradiction is the noise of depth and tracking; where one is wrong, it is many times larger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.cameras import transform, unproject

Array = NDArray[np.float64]

# A right scan disagrees by 1 to 3 cm: tracking is off by about 1 cm, and depth by up to 1 %.
OFFSET, SHARE = 0.02, 0.01  # metres, and share of the depth, that may be usual
_PIXELS = 400  # of each frame
_COMPARED = 0.05  # share of its pixels that other frames must see before a frame is judged
_EDGE = 1.2  # ratio of depths across which nothing is interpolated: an edge lies between
_FEWEST = 100  # contradictions from which a median is taken


class View(Protocol):
    """The depth of one frame."""

    @property
    def depth(self) -> Array:
        """(H, W) in metres, 0 where nothing was measured."""

    @property
    def depth_intrinsics(self) -> Array:
        """(3, 3)."""

    @property
    def camera_to_world(self) -> Array:
        """(4, 4)."""


@dataclass(frozen=True)
class Agreement:
    """How well frames agree with one another.

    Attributes:
        part: half of the contradictions are below this share of the depth.
        depth: median depth in metres of the pixels compared.
        frames: how many frames share enough with others to be judged.
    """

    part: float
    depth: float
    frames: int

    @property
    def metres(self) -> float:
        """The disagreement at the usual depth of the scan."""
        return self.part * self.depth

    @property
    def bound(self) -> float:
        """Metres up to which right scans disagree."""
        return OFFSET + SHARE * self.depth

    @property
    def ratio(self) -> float:
        """The disagreement as a multiple of the bound."""
        return self.metres / self.bound


def compare(views: Sequence[View], count: int = _PIXELS) -> Agreement | None:
    """Compare `count` pixels of each frame with all others; None where too little is shared."""
    found = share(views, count)
    measured = np.bincount(found.own, minlength=len(views))
    seen = np.zeros(len(found.own), bool)
    seen[found.pixel] = True
    shared = np.bincount(found.own, seen, minlength=len(views))
    judged = int(((shared >= _COMPARED * measured) & (shared > 0)).sum())
    through = np.log(found.depth / found.xyz[:, 2])
    through = through[through > 0]
    if judged < 2 or len(through) < _FEWEST:
        return None
    return Agreement(float(np.median(through)), float(np.median(found.depth)), judged)


@dataclass(frozen=True)
class Shared:
    """Pixels of frames, and what the other frames measure at their places.

    Attributes:
        own: the frame (P,) that a pixel is of.
        source: its position (P, 3) in camera coordinates of that frame, in metres.
        pixel, frame: for each of S places, the pixel (S,) and the other frame (S,).
        xyz: the position (S, 3) of the pixel in camera coordinates of the other frame, in metres.
        depth: what that frame measures there (S,), in metres.
    """

    own: NDArray[np.intp]
    source: Array
    pixel: NDArray[np.intp]
    frame: NDArray[np.intp]
    xyz: Array
    depth: Array


def share(views: Sequence[View], count: int) -> Shared:
    """Project `count` pixels of each frame, which have depth of one size, into all others."""
    points = [measured_points(view, count) for view in views]
    own = np.repeat(np.arange(len(views)), [len(xyz) for xyz in points])
    poses = np.stack([view.camera_to_world for view in views])
    world = np.concatenate([transform(pose, xyz) for pose, xyz in zip(poses, points, strict=True)])
    back = np.linalg.inv(poses)
    z = world @ back[:, 2, :3].T + back[:, 2, 3]
    pixel, frame = np.nonzero((z > 0) & (own[:, None] != np.arange(len(views))))
    xyz = np.einsum("sij,sj->si", back[frame, :3, :3], world[pixel]) + back[frame, :3, 3]
    k = np.stack([view.depth_intrinsics for view in views])[frame, :2]
    uv = np.einsum("sij,sj->si", k, xyz / xyz[:, 2:])
    height, width = views[0].depth.shape
    inside = ((uv >= 0) & (uv < (width - 1, height - 1))).all(1)
    pixel, frame, xyz = pixel[inside], frame[inside], xyz[inside]
    depth = _depth_at(np.stack([view.depth for view in views]), frame, uv[inside])
    there = np.isfinite(depth)
    return Shared(own, np.concatenate(points), pixel[there], frame[there], xyz[there], depth[there])


def measured_points(view: View, count: int) -> Array:
    """Positions (P, 3) in camera coordinates of about `count` pixels, evenly spread."""
    height, width = view.depth.shape
    step = max(1, int(np.sqrt(height * width / count)))
    v, u = np.mgrid[step // 2 : height : step, step // 2 : width : step].reshape(2, -1)
    there = view.depth[v, u] > 0
    uv = np.column_stack([u, v])[there].astype(float)
    return unproject(view.depth_intrinsics, uv, view.depth[v, u][there])


def _depth_at(depth: Array, frame: NDArray[np.intp], uv: Array) -> Array:
    """The depth (S,) of frames (S,) between the centres of pixels (S, 2), NaN at edges.

    The inverse of the depth is interpolated, which is linear on a plane.
    """
    first = uv.astype(int)
    (a, b), (column, row) = (uv - first).T, first.T
    corners = np.stack([depth[frame, row + i, column + j] for i in (0, 1) for j in (0, 1)])
    low = corners.min(0)
    smooth = (low > 0) & (corners.max(0) < _EDGE * low)
    weight = np.stack([(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b])
    found = np.full(len(uv), np.nan)
    found[smooth] = 1 / (weight[:, smooth] / corners[:, smooth]).sum(0)
    return found


def length(metres: float) -> str:
    """A distance in words: centimetres below a metre."""
    return f"{100 * metres:.1f} cm" if metres < 0.9995 else f"{metres:.3g} m"
