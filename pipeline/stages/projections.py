"""Stage projections: which voxels each frame sees, where in its colour image, and how well.

A voxel is seen where its centre of mass projects into the image and the depth that was measured
there is its own, within a tolerance that is strict: with the customary 25 % (1 m at 4 m) the
embeddings of an object bleed onto the wall behind it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.geometry.agreement import require
from pipeline.geometry.cameras import frustum, project, transform, world_to_camera
from pipeline.scan import Cloud
from pipeline.stages.declaration import Stage
from pipeline.stages.kept_frames import KeptFrames
from pipeline.store import arrays

_CHUNK = 1 << 18  # pairs
_WAITING = 1 << 20  # pairs held before they are written
Pair = tuple[float, float]
Waiting = list[tuple[NDArray[np.generic], ...]]

_LEAST_WEIGHT = 2.0**-10  # a voxel that is seen has a weight, so that a mean of weights exists
_ROUNDING = 1e-6  # of float32 sums of four products, relative to their largest term


@dataclass(frozen=True)
class Weighting:
    """How much a view of a voxel counts: a product of three factors, each in (0, 1].

    |cos a| ^ incidence_power, with a the angle between the normal and the ray (0: off; 1 for a
    voxel without a normal): what is seen at a grazing angle is smeared over few pixels.
    1 / (1 + (z / half_distance)^2): a far voxel shares its patch with its surroundings.
    min(1, e / border_ramp), with e the distance in pixels to the nearest edge of the image: near
    the edge the image tower lacks context (0: off).
    """

    incidence_power: float
    half_distance: float | None  # metres; None: off
    border_ramp: float  # colour pixels


@dataclass(frozen=True)
class Settings:
    """What the config says under `projections`."""

    absolute_tolerance: float  # metres
    relative_tolerance: float  # of the voxel's depth
    border: float  # colour pixels at each edge in which nothing counts as seen
    weight: Weighting
    max_offset: float | None = None  # metres between images and points; None: not looked at


@dataclass(frozen=True)
class Camera:
    """One frame's cameras and what its depth sensor measured."""

    color_size: tuple[int, int]  # (width, height)
    color_intrinsics: NDArray[np.float64]  # (3, 3)
    depth: NDArray[np.uint16]  # (H, W), 0 = not measured
    depth_scale: float  # metres = depth / depth_scale
    depth_intrinsics: NDArray[np.float64]  # (3, 3)
    camera_to_world: NDArray[np.float64]  # (4, 4)


class ProjectionsStage(Stage):
    """Which voxels each frame sees, where in its image, and how well."""

    reads = ("frames", "voxels")
    packages = ("numpy",)
    memory_mb = 4000


class Worker:
    """Projects the voxels of one scan after another."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.settings = Settings(**{**params, "weight": Weighting(**params["weight"])})

    def __call__(self, out: zarr.Group, frames: zarr.Group, voxels: zarr.Group) -> None:
        """Write `offsets` i64 (F + 1) and the pairs of frame f at offsets[f] to offsets[f + 1]:
        `voxel` u32 (P,), increasing in a frame, `uv` f32 (P, 2) in pixels of the colour image and
        `weight` f16 (P,).

        One frame and about a million pairs are in memory at a time. Raises `BadInput` where frames
        and points disagree by more than they may.
        """
        if self.settings.max_offset is not None:
            points = Cloud(*(np.asarray(voxels[n]) for n in ("xyz", "rgb", "normal", "segment")))
            require(KeptFrames(frames), points, "the scan", self.settings.max_offset)
        xyz, normal = np.asarray(voxels["voxel_xyz"]), np.asarray(voxels["voxel_normal"])
        shapes = {
            "voxel": ((0,), np.uint32),
            "uv": ((0, 2), np.float32),
            "weight": ((0,), np.float16),
        }
        pairs = [
            arrays.create(out, n, shape, dtype, _CHUNK) for n, (shape, dtype) in shapes.items()
        ]
        offsets = [0]
        waiting: Waiting = []
        for camera in read_cameras(frames):
            voxel, uv, z = see(camera, xyz, self.settings)
            weight = weigh(camera, xyz[voxel], normal[voxel], uv, z, self.settings.weight)
            waiting.append((voxel, uv, weight))
            offsets.append(offsets[-1] + len(voxel))
            if offsets[-1] - pairs[0].shape[0] >= _WAITING:
                _append(pairs, waiting)
        _append(pairs, waiting)
        arrays.write(out, "offsets", np.array(offsets, np.int64))


def read_cameras(frames: zarr.Group) -> Iterator[Camera]:
    """The cameras of the entry `frames`, one at a time."""
    width, height = cast(list[int], frames.attrs["color_size"])
    depth_scale = cast(float, frames.attrs["depth_scale"])
    depth = frames["depth"]
    assert isinstance(depth, zarr.Array)
    per_frame = ("color_intrinsics", "depth_intrinsics", "camera_to_world")
    matrices = zip(*(np.asarray(frames[name]) for name in per_frame), strict=True)
    for frame, (color_intrinsics, depth_intrinsics, camera_to_world) in enumerate(matrices):
        yield Camera(
            color_size=(width, height),
            color_intrinsics=color_intrinsics,
            depth=np.asarray(depth[frame]),
            depth_scale=depth_scale,
            depth_intrinsics=depth_intrinsics,
            camera_to_world=camera_to_world,
        )


def see(
    camera: Camera, xyz: NDArray[np.float32], settings: Settings
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """The points of (N, 3) world positions that a frame sees: index, uv (S, 2) and z (S,).

    Seen is what projects into the colour image less its border, in front of the camera, onto a
    depth pixel that holds a measurement d with |d - z| <= absolute + relative z. The depth image
    has intrinsics of its own, and is read at the nearest pixel: between two surfaces a mean would
    be the depth of neither.
    """
    to_camera = world_to_camera(camera.camera_to_world)
    width, height = camera.color_size
    margin = settings.border - 0.5
    low, high = (margin, margin), (width - 1 - margin, height - 1 - margin)
    index = _cull(frustum(to_camera, camera.color_intrinsics, low, high), xyz)
    in_camera = transform(to_camera, xyz[index])
    z, pixel = in_camera[:, 2], np.floor(project(camera.depth_intrinsics, in_camera) + 0.5)
    rows, columns = camera.depth.shape
    inside = (z > 0) & _within(pixel, (0, 0), (columns, rows))
    column, row = np.where(inside[:, None], pixel, 0).astype(np.intp).T
    measured = camera.depth[row, column]
    off = np.abs(measured / camera.depth_scale - z)
    tolerance = settings.absolute_tolerance + settings.relative_tolerance * z
    seen = np.flatnonzero(inside & (measured > 0) & (off <= tolerance))
    uv = project(camera.color_intrinsics, in_camera[seen])
    exact = _within(uv, low, high)
    seen, uv = seen[exact], uv[exact]
    return index[seen], uv, z[seen]


def weigh(
    camera: Camera,
    xyz: NDArray[np.float32],
    normal: NDArray[np.float32],
    uv: NDArray[np.float64],
    z: NDArray[np.float64],
    weighting: Weighting,
) -> NDArray[np.float16]:
    """The weight (S,) of seen points by `Weighting`; normals are unit length or 0."""
    ray = xyz - camera.camera_to_world[:3, 3]
    along, length = np.einsum("ij,ij->i", ray, normal), np.einsum("ij,ij->i", ray, ray)
    unknown = np.einsum("ij,ij->i", normal, normal) == 0
    cosine = np.where(unknown, 1.0, np.abs(along) / np.sqrt(length))
    weight = cosine**weighting.incidence_power
    if weighting.half_distance is not None:
        weight /= 1 + (z / weighting.half_distance) ** 2
    if weighting.border_ramp > 0:
        (width, height), (u, v) = camera.color_size, uv.T
        edge = 0.5 + np.minimum(np.minimum(u, width - 1 - u), np.minimum(v, height - 1 - v))
        weight *= np.minimum(1, edge / weighting.border_ramp)
    return np.maximum(weight, _LEAST_WEIGHT).astype(np.float16)


def _within(uv: NDArray[np.float64], low: Pair, high: Pair) -> NDArray[np.bool_]:
    """Whether low <= uv (N, 2) < high. By column: `all` along so short an axis is slow."""
    u, v = uv.T
    return (u >= low[0]) & (v >= low[1]) & (u < high[0]) & (v < high[1])


def _cull(planes: NDArray[np.float64], xyz: NDArray[np.float32]) -> NDArray[np.intp]:
    """The points (N, 3) within all half-spaces (4, 4), and a few just outside, in float32.

    Most voxels are out of most views, and this tells so several times faster than the exact test.
    """
    farthest = max(xyz.max(initial=0), -xyz.min(initial=0))
    terms = np.abs(planes) @ [farthest, farthest, farthest, 1]
    value = planes[:, :3].astype(np.float32) @ xyz.T + planes[:, 3:].astype(np.float32)
    inside = value[0] >= -_ROUNDING * terms[0]
    for k in range(1, 4):
        inside &= value[k] >= -_ROUNDING * terms[k]
    return np.flatnonzero(inside)


def _append(pairs: list[zarr.Array], waiting: Waiting) -> None:
    """Write the pairs that wait, and hold them no longer."""
    if waiting:
        for array, parts in zip(pairs, zip(*waiting, strict=True), strict=True):
            array.append(np.concatenate(parts).astype(array.dtype))
        waiting.clear()
