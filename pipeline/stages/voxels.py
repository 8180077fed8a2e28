"""Stage voxels: the points of a scan, and the voxels that contain them, without any label."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.geometry.votes import majority
from pipeline.scan import Cloud
from pipeline.stages.declaration import Stage
from pipeline.store import arrays

_AXIS_BITS = 21  # of a voxel coordinate: three of them fill the 63 bits of a positive int64


@dataclass(frozen=True)
class Settings:
    """The section `voxels` of the config."""

    voxel_size: float  # metres


class VoxelsStage(Stage):
    """The points of a scan, and the voxels that they fall into."""

    raw = "cloud"
    packages = ("numpy",)
    memory_mb, minutes = 4000, 10


class Worker:
    """Voxelises one scan per call."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.settings = Settings(**params)

    def __call__(self, out: zarr.Group, raw: Cloud) -> None:
        """Write the N points unchanged, `xyz`, `rgb`, `normal` and `segment` (the superpoint), with
        `voxel_of_point` i32 (N,), and of the M voxels `coords` i32 (M, 3) >= 0, in Z-order,
        `voxel_xyz` f32 and `voxel_rgb` u8 (M, 3), means over their points, `voxel_normal` f32
        (M, 3), unit length or 0 where unknown, and `voxel_segment` i32 (M,), by majority.

        The attribute `offset` (3,) and the array `left_out` i64 (K,) are those of the cloud.

        A voxel spans origin + (coords to coords + 1) voxel_size. Raises `BadInput` for a cloud that
        is empty, has a position that is not finite or is too large for its voxels.
        """
        size = self.settings.voxel_size
        _check(raw.xyz, size)
        coords, voxel_of_point, origin = voxelise(raw.xyz, size)
        count = len(coords)
        arrays.write(out, "xyz", raw.xyz)
        arrays.write(out, "rgb", raw.rgb)
        arrays.write(out, "normal", raw.normal)
        arrays.write(out, "segment", raw.segment)
        arrays.write(out, "coords", coords)
        arrays.write(out, "voxel_of_point", voxel_of_point)
        arrays.write(out, "voxel_xyz", means(raw.xyz, voxel_of_point, count).astype(np.float32))
        rgb = np.rint(means(raw.rgb, voxel_of_point, count))
        arrays.write(out, "voxel_rgb", rgb.astype(np.uint8))
        normal = unit_or_zero(means(raw.normal, voxel_of_point, count))
        arrays.write(out, "voxel_normal", normal.astype(np.float32))
        segment = majority(raw.segment, voxel_of_point, count)
        arrays.write(out, "voxel_segment", segment.astype(np.int32))
        arrays.write(out, "left_out", raw.left_out)
        out.attrs["offset"] = raw.offset.tolist()
        out.attrs["voxel_size"] = size
        out.attrs["origin"] = origin.tolist()


def voxelise(
    xyz: NDArray[np.float32], voxel_size: float
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """The voxels (M, 3) that contain points (N, 3), the voxel of each point (N,), and the origin.

    The lattice is fixed in the world, so adding or removing a point moves no other to another
    voxel. Coordinates count from the lowest that occurs; the origin (3,), in metres, is the corner
    of voxel (0, 0, 0).
    """
    cell = np.floor(xyz / np.float64(voxel_size)).astype(np.int64)
    lowest = cell.min(axis=0)
    cell -= lowest
    _, first, voxel_of_point = np.unique(z_order(cell), return_index=True, return_inverse=True)
    return cell[first].astype(np.int32), voxel_of_point.astype(np.int32), lowest * voxel_size


def z_order(cell: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number (N,) for each cell (N, 3) in [0, 2^21): the interleaved bits of x, y and z.

    Unlike hashes, numbers of different cells never collide. Sorted by it, neighbours in the list
    are neighbours in space (G. M. Morton, 1966), and so see similar parts of an image: fusion takes
    two thirds of the time that it takes in the order of rows and columns.
    """
    key = np.zeros(len(cell), np.int64)
    for axis in range(3):
        bits = cell[:, axis]
        for shift, mask in (
            (32, 0x001F00000000FFFF),
            (16, 0x001F0000FF0000FF),
            (8, 0x100F00F00F00F00F),
            (4, 0x10C30C30C30C30C3),
            (2, 0x1249249249249249),
        ):
            bits = (bits | bits << shift) & mask
        key |= bits << axis
    return key


def means(values: NDArray, voxel_of_point: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """The mean (M, C) of values (N, C) over the points of each of `count` voxels."""
    sums = [np.bincount(voxel_of_point, column, count) for column in values.T]
    return np.stack(sums, axis=1) / np.bincount(voxel_of_point, minlength=count)[:, None]


def unit_or_zero(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors (M, 3) at unit length; 0 where normals were unknown or cancelled each other."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > 1e-3, vectors / np.maximum(length, 1e-3), 0)


def _check(xyz: NDArray[np.float32], voxel_size: float) -> None:
    remedy = "download the scan again or leave it out"
    if len(xyz) == 0:
        raise BadInput("cloud", "contains no point", remedy)
    if not np.isfinite(xyz).all():
        raise BadInput("cloud", "has points whose position is not finite", remedy)
    extent = float(np.ptp(xyz, axis=0).max())
    if extent >= voxel_size * (2**_AXIS_BITS - 1):
        what = f"is {extent:.3g} m wide, too far for voxels of {voxel_size} m"
        raise BadInput("cloud", what, remedy)
