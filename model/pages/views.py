"""From where a scan is looked at: from above without its ceiling, and from a corner."""

import numpy as np
from numpy.typing import NDArray

from model.pages.splat import View

WIDTH = 380  # pixels
_TALLEST = 1.2  # height of a picture in its widths
_CUT_ABOVE = 1.6  # metres: a lower scan has no ceiling to cut off
_KEPT = 0.76  # share of a taller scan's height that is shown
_FROM = (-0.55, -0.75, 0.8)  # where the corner is, along the scan's sides and up
_LENS = 1.5  # distance at which a thing as wide as the picture fills it, in its widths
_MARGIN = 0.97


def below_ceiling(xyz: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which points (N,) of a scan (N, 3) are shown: the lower three quarters of a room."""
    floor, top = np.percentile(xyz[:, 2], (1, 99)) if len(xyz) else (0.0, 0.0)
    if top - floor < _CUT_ABOVE:
        return np.ones(len(xyz), bool)
    return xyz[:, 2] <= floor + _KEPT * (top - floor)


def axes(xyz: NDArray[np.floating]) -> NDArray[np.float64]:
    """The directions (2, 3) of a scan's sides: of the smallest box around it, the longer first."""
    turns = np.radians(np.arange(90))
    flat = xyz[:: max(1, len(xyz) // 20000), :2].astype(np.float64)
    boxes = [np.ptp(flat @ _turned(turn), axis=0) for turn in turns]
    best = int(np.argmin([width * depth for width, depth in boxes]))
    sides = _turned(turns[best]).T
    if boxes[best][0] < boxes[best][1]:
        sides = np.array([sides[1], -sides[0]])
    return np.column_stack([sides, np.zeros(2)])


def above(xyz: NDArray[np.floating], width: int = WIDTH) -> View:
    """Straight down, the longer side across; `xyz` (N, 3) fill the picture."""
    along, across = axes(xyz)
    rotation = np.stack([along, -across, [0.0, 0.0, -1.0]])
    return _filled(rotation, xyz, width, None)


def corner(xyz: NDArray[np.floating], width: int = WIDTH) -> View:
    """Down from above a corner, in perspective; `xyz` (N, 3) are in the picture."""
    along, across = axes(xyz)
    up = np.array([0.0, 0.0, 1.0])
    back = _FROM[0] * along + _FROM[1] * across + _FROM[2] * up
    forward = -back / np.linalg.norm(back)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    middle = (xyz.min(axis=0) + xyz.max(axis=0)) / 2
    size = float(np.linalg.norm(np.ptp(xyz, axis=0)))
    return _filled(rotation, xyz, width, middle - forward * max(size, 1e-3) * _LENS)


def _filled(
    rotation: NDArray[np.float64],
    xyz: NDArray[np.floating],
    width: int,
    camera: NDArray[np.float64] | None,
) -> View:
    """A view in which points reach from edge to edge; of parallel rays without a `camera`."""
    middle = (xyz.min(axis=0) + xyz.max(axis=0)) / 2.0
    seen = (xyz - (middle if camera is None else camera)) @ rotation.T
    plane = seen[:, :2] if camera is None else seen[:, :2] / np.maximum(seen[:, 2:], 1e-6)
    low, high = plane.min(axis=0), plane.max(axis=0)
    wide, tall = np.maximum(high - low, 1e-6)
    scale = _MARGIN * min(width / wide, _TALLEST * width / tall)
    height = int(np.clip(np.ceil(tall * scale / _MARGIN), 16, _TALLEST * width))
    shift = (low + high) / 2
    if camera is None:
        centre = middle + shift @ rotation[:2]
        return View(rotation, centre, width, height, scale)
    # Turn the camera so that the middle of what it sees is in the middle of the picture.
    turned = _towards(np.array([*shift, 1.0]), rotation)
    seen = (xyz - camera) @ turned.T
    reach = np.abs(seen[:, :2] / np.maximum(seen[:, 2:], 1e-6)).max(axis=0)
    scale = _MARGIN / 2 * min(width / reach[0], _TALLEST * width / reach[1])
    height = int(np.clip(np.ceil(2 * reach[1] * scale / _MARGIN), 16, _TALLEST * width))
    return View(turned, camera, width, height, scale, focal=True)


def _towards(direction: NDArray[np.float64], rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """A rotation whose view goes in a direction of the camera `rotation`, its right level."""
    forward = direction @ rotation
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def _turned(turn: float) -> NDArray[np.float64]:
    cos, sin = np.cos(turn), np.sin(turn)
    return np.array([[cos, -sin], [sin, cos]])
