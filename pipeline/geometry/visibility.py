"""Which points of a scan a posed RGB-D frame sees: the one visibility test of the project."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.cameras import frustum, project, transform, world_to_camera

Pair = tuple[float, float]

_ROUNDING = 1e-6  # of float32 sums of four products, relative to their largest term


@dataclass(frozen=True)
class Camera:
    """The cameras of one frame, and what its depth sensor measured."""

    color_size: tuple[int, int]  # (width, height)
    color_intrinsics: NDArray[np.float64]  # (3, 3)
    depth: NDArray[np.uint16] | NDArray[np.float64]  # (H, W), 0 = not measured
    depth_scale: float  # metres = depth / depth_scale
    depth_intrinsics: NDArray[np.float64]  # (3, 3)
    camera_to_world: NDArray[np.float64]  # (4, 4)


def see(
    camera: Camera,
    xyz: NDArray[np.floating],
    absolute_tolerance: float,
    relative_tolerance: float,
    border: float = 0,
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """The points, among world positions (N, 3), that a frame sees: index, uv (S, 2) and z (S,).

    A point is seen if it projects into the colour image without its `border` (pixels), in front of
    the camera, onto a depth pixel with a measurement d for which
    |d - z| <= absolute_tolerance + relative_tolerance z, in metres. uv is in pixels of the colour
    image, z in metres. The depth image has its own intrinsics and is read at the nearest pixel:
    between two surfaces an interpolated depth belongs to neither.
    """
    to_camera = world_to_camera(camera.camera_to_world)
    width, height = camera.color_size
    margin = border - 0.5
    low, high = (margin, margin), (width - 1 - margin, height - 1 - margin)
    index = _cull(frustum(to_camera, camera.color_intrinsics, low, high), xyz)
    in_camera = transform(to_camera, xyz[index])
    z, pixel = in_camera[:, 2], np.floor(project(camera.depth_intrinsics, in_camera) + 0.5)
    rows, columns = camera.depth.shape
    inside = (z > 0) & _within(pixel, (0, 0), (columns, rows))
    column, row = np.where(inside[:, None], pixel, 0).astype(np.intp).T
    measured = camera.depth[row, column]
    off = np.abs(measured / camera.depth_scale - z)
    tolerance = absolute_tolerance + relative_tolerance * z
    seen = np.flatnonzero(inside & (measured > 0) & (off <= tolerance))
    uv = project(camera.color_intrinsics, in_camera[seen])
    exact = _within(uv, low, high)
    seen, uv = seen[exact], uv[exact]
    return index[seen], uv, z[seen]


def _within(uv: NDArray[np.float64], low: Pair, high: Pair) -> NDArray[np.bool_]:
    """Whether low <= uv (N, 2) < high. By column, because `all` along so short an axis is slow."""
    u, v = uv.T
    return (u >= low[0]) & (v >= low[1]) & (u < high[0]) & (v < high[1])


def _cull(planes: NDArray[np.float64], xyz: NDArray[np.floating]) -> NDArray[np.intp]:
    """The points (N, 3) within all half-spaces (4, 4), and a few just outside, in float32.

    Most points are outside most views, and this finds them several times faster than the exact
    test.
    """
    farthest = max(xyz.max(initial=0), -xyz.min(initial=0))
    terms = np.abs(planes) @ [farthest, farthest, farthest, 1]
    value = planes[:, :3].astype(np.float32) @ xyz.T + planes[:, 3:].astype(np.float32)
    inside = value[0] >= -_ROUNDING * terms[0]
    for k in range(1, 4):
        inside &= value[k] >= -_ROUNDING * terms[k]
    return np.flatnonzero(inside)
