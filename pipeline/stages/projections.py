"""Stage projections: which voxels each frame sees, where in its colour image, and how well.

A voxel is seen where its centre of mass projects into the image and the depth that was measured
there is its own, within a tolerance that is strict: with the customary 25 % (1 m at 4 m) the
embeddings of an object bleed onto the wall behind it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.geometry.agreement import require
from pipeline.geometry.visibility import Camera, see
from pipeline.scan import Cloud
from pipeline.stages.declaration import Stage
from pipeline.stages.kept_frames import KeptFrames
from pipeline.store import arrays

_CHUNK = 1 << 18  # pairs
_BUFFERED = 1 << 20  # pairs in memory before they are written
View = tuple[NDArray[np.generic], NDArray[np.generic], NDArray[np.generic]]  # voxel, uv, weight

_LEAST_WEIGHT = 2.0**-10  # every seen voxel has a weight, so that a weighted mean exists


@dataclass(frozen=True)
class Weighting:
    """The weight of a view of a voxel: a product of three factors, each in (0, 1].

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
    """The section `projections` of the config."""

    absolute_tolerance: float  # metres
    relative_tolerance: float  # of the voxel's depth
    border: float  # colour pixels at each edge in which nothing counts as seen
    weight: Weighting
    max_offset: float | None = None  # metres between images and points; None: not checked
    min_seen: float = 0.01  # share of the voxels that some frame must see


class ProjectionsStage(Stage):
    """Which voxels each frame sees, where in its image, and how well."""

    reads = ("frames", "voxels")
    packages = ("numpy",)
    memory_mb = 4000
    time_grows_with, size_grows_with = ("frames", "cloud"), ("frames",)


class Worker:
    """Projects the voxels of one scan per call."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """`params`: the fields of `Settings`, as plain values."""
        self.settings = Settings(**{**params, "weight": Weighting(**params["weight"])})

    def __call__(self, out: zarr.Group, frames: zarr.Group, voxels: zarr.Group) -> None:
        """Write `offsets` i64 (F + 1) and the pairs of frame f at offsets[f] to offsets[f + 1]:
        `voxel` u32 (P,), increasing in a frame, `uv` f32 (P, 2) in pixels of the colour image and
        `weight` f16 (P,).

        One frame and about a million pairs are in memory at a time. Raises `BadInput` where frames
        and points disagree by more than `max_offset`, and where frames see too few voxels.
        """
        some = self.settings
        if some.max_offset is not None:
            points = Cloud(*(np.asarray(voxels[n]) for n in ("xyz", "rgb", "normal", "segment")))
            require(KeptFrames(frames), points, "the scan", some.max_offset)
        xyz, normal = np.asarray(voxels["voxel_xyz"]), np.asarray(voxels["voxel_normal"])
        seen = np.zeros(len(xyz), np.bool_)
        write_pairs(out, self._views(frames, xyz, normal, seen))
        if not seen.any() or seen.mean() < some.min_seen:
            count = np.asarray(frames["frame_id"]).size
            what = f"its {count} frames see {seen.sum()} of {len(xyz)} voxels"
            remedy = "check that images, poses and points are of the same room, or leave it out"
            raise BadInput("the scan", what, remedy)

    def _views(
        self,
        frames: zarr.Group,
        xyz: NDArray[np.float32],
        normal: NDArray[np.float32],
        seen: NDArray[np.bool_],
    ) -> Iterator[View]:
        """The views of all frames; `seen` (M,) becomes true for what is in any."""
        some = self.settings
        for camera in read_cameras(frames):
            voxel, uv, z = see(
                camera, xyz, some.absolute_tolerance, some.relative_tolerance, some.border
            )
            seen[voxel] = True
            yield voxel, uv, weigh(camera, xyz[voxel], normal[voxel], uv, z, some.weight)


def write_pairs(
    out: zarr.Group, views: Iterable[View], chunk: int = _CHUNK, buffered: int = _BUFFERED
) -> None:
    """Write `offsets`, `voxel`, `uv` and `weight` of one view (S,), (S, 2), (S,) per frame.

    Arrays are chunked by `chunk` pairs, and appended to when `buffered` pairs are in memory.
    """
    shapes = {"voxel": ((0,), np.uint32), "uv": ((0, 2), np.float32), "weight": ((0,), np.float16)}
    pairs = [arrays.create(out, n, shape, dtype, chunk) for n, (shape, dtype) in shapes.items()]
    offsets = [0]
    buffer: list[View] = []
    for view in views:
        buffer.append(view)
        offsets.append(offsets[-1] + len(view[0]))
        if offsets[-1] - pairs[0].shape[0] >= buffered:
            _flush(pairs, buffer)
    _flush(pairs, buffer)
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


def weigh(
    camera: Camera,
    xyz: NDArray[np.float32],
    normal: NDArray[np.float32],
    uv: NDArray[np.float64],
    z: NDArray[np.float64],
    weighting: Weighting,
) -> NDArray[np.float16]:
    """The weight (S,) of seen points by `Weighting`.

    Positions (S, 3) are in metres, normals (S, 3) of unit length or 0, uv (S, 2) in pixels of the
    colour image, z (S,) in metres.
    """
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


def _flush(pairs: list[zarr.Array], buffer: list[View]) -> None:
    """Append the buffered pairs to the arrays, and empty the buffer."""
    if buffer:
        for array, parts in zip(pairs, zip(*buffer, strict=True), strict=True):
            array.append(np.concatenate(parts).astype(array.dtype))
        buffer.clear()
