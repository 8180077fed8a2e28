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

from pipeline.geometry.cameras import project, transform, unproject, world_to_camera

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
    own, predicted, seen = _projected(views, count)
    shared = np.isfinite(seen)
    measured = np.bincount(own, minlength=len(views))
    found = np.bincount(own, shared.any(0), minlength=len(views))
    judged = int(((found >= _COMPARED * measured) & (found > 0)).sum())
    through = np.log(seen[shared] / predicted[shared])
    through = through[through > 0]
    if judged < 2 or len(through) < _FEWEST:
        return None
    return Agreement(float(np.median(through)), float(np.median(seen[shared])), judged)


def _projected(views: Sequence[View], count: int) -> tuple[NDArray[np.intp], Array, Array]:
    """For pixels (P,) the frame (P,) that they are of, and for each frame j the depth (F, P) that
    they would have in it, and the depth (F, P) that it measures there, NaN where it sees none."""
    points = [measured_points(view, count) for view in views]
    own = np.repeat(np.arange(len(views)), [len(each) for each in points])
    world = np.concatenate(
        [transform(view.camera_to_world, xyz) for view, xyz in zip(views, points, strict=True)]
    )
    predicted = np.full((len(views), len(world)), np.nan)
    seen = predicted.copy()
    for j, view in enumerate(views):
        xyz = transform(world_to_camera(view.camera_to_world), world)
        front = np.flatnonzero((xyz[:, 2] > 0) & (own != j))
        predicted[j, front] = xyz[front, 2]
        seen[j, front] = _depth_at(view, project(view.depth_intrinsics, xyz[front]))
    return own, predicted, seen


def measured_points(view: View, count: int) -> Array:
    """Positions (P, 3) in camera coordinates of about `count` pixels, evenly spread."""
    height, width = view.depth.shape
    step = max(1, int(np.sqrt(height * width / count)))
    v, u = np.mgrid[step // 2 : height : step, step // 2 : width : step].reshape(2, -1)
    there = view.depth[v, u] > 0
    uv = np.column_stack([u, v])[there].astype(float)
    return unproject(view.depth_intrinsics, uv, view.depth[v, u][there])


def _depth_at(view: View, uv: Array) -> Array:
    """The depth (P,) at pixels (P, 2) between the centres of others, NaN at edges and outside.

    The inverse of the depth is interpolated, which is linear on a plane.
    """
    height, width = view.depth.shape
    found = np.full(len(uv), np.nan)
    inside = np.flatnonzero(((uv >= 0) & (uv < (width - 1, height - 1))).all(1))
    first = uv[inside].astype(int)
    a, b = (uv[inside] - first).T
    column, row = first.T
    corners = np.stack([view.depth[row + i, column + j] for i in (0, 1) for j in (0, 1)])
    low = corners.min(0)
    smooth = (low > 0) & (corners.max(0) < _EDGE * low)
    weight = np.stack([(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b])
    inverse = (weight[:, smooth] / corners[:, smooth]).sum(0)
    found[inside[smooth]] = 1 / inverse
    return found


def length(metres: float) -> str:
    """A distance in words: centimetres below a metre."""
    return f"{100 * metres:.1f} cm" if metres < 0.9995 else f"{metres:.3g} m"
