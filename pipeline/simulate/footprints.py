"""Rectangles on the floor and heights above it, to decide where things fit."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.world import Shape

TOUCH = 0.004  # metres: overlap that is ignored
_LEVEL = 0.8  # least vertical component of the normal of a level face

Corners = NDArray[np.float64]  # (4, 2)


def footprint(
    size: Sequence[float] | NDArray[np.float64], position: NDArray[np.float64], turn: float
) -> Corners:
    """Corners (4, 2) of a rectangle of width and depth `size` rotated about its centre."""
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.asarray(size[:2]) / 2
    c, s = np.cos(turn), np.sin(turn)
    return half @ np.array([[c, s], [-s, c]]) + position


def overlap(a: Corners, b: Corners) -> bool:
    """Whether two rectangles overlap by more than `TOUCH` (separating axes)."""
    for corners in (a, b):
        for edge in (corners[1] - corners[0], corners[2] - corners[1]):
            axis = edge / np.linalg.norm(edge)
            p, q = a @ axis, b @ axis
            if p.max() <= q.min() + TOUCH or q.max() <= p.min() + TOUCH:
                return False
    return True


def top_heights(shape: Shape, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height of the shape's highest level face above each point (n, 2); -inf where there is none"""
    corner = shape.vertices[shape.faces].astype(np.float64)
    one, two = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    normal = np.cross(one, two)
    length = np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
    level = np.abs(normal[:, 2]) > _LEVEL * length
    corner, one, two, area = corner[level], one[level], two[level], normal[level, 2]
    offset = points[:, None] - corner[None, :, 0, :2]
    b = (offset[..., 0] * two[:, 1] - offset[..., 1] * two[:, 0]) / area
    c = (one[:, 0] * offset[..., 1] - one[:, 1] * offset[..., 0]) / area
    inside = (b >= -1e-6) & (c >= -1e-6) & (b + c <= 1 + 1e-6)
    height = corner[:, 0, 2] + b * one[:, 2] + c * two[:, 2]
    return np.where(inside, height, -np.inf).max(1, initial=-np.inf)


def notch(outline: NDArray[np.float64]) -> Corners | None:
    """The rectangle that an L lacks of its bounding box; None for a rectangle."""
    before, after = np.roll(outline, 1, axis=0), np.roll(outline, -1, axis=0)
    one, two = outline - before, after - outline
    inward = np.flatnonzero(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] < 0)
    if not len(inward):
        return None
    corner = outline[inward[0]]
    low, high = outline.min(0), outline.max(0)
    # The missing corner of the bounding box is the one without a vertex of the L.
    box = np.array([[x, y] for x in (low[0], high[0]) for y in (low[1], high[1])])
    missing = next(p for p in box if np.abs(outline - p).sum(1).min() > 1e-9)
    centre = (corner + missing) / 2
    return footprint(np.abs(missing - corner), centre, 0.0)
