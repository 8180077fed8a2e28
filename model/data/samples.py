"""One training sample: a scan that is cropped, augmented and voxelised again."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.data.augment import Augmentation
from model.data.entries import Scene

_GRID_SHIFT = 16  # voxels; the coarsest level of the network has cells of this size


class Sample(NamedTuple):
    """One scan as the network sees it: m voxels, of which s are supervised."""

    coords: NDArray[np.int32]  # (m, 3) >= 0, no repeats
    rgb: NDArray[np.float32]  # (m, 3) in [-1, 1]
    row: NDArray[np.int64]  # (s,) the supervised voxels, increasing
    feature: NDArray[np.float16]  # (s, d)
    label: NDArray[np.int64]  # (s,) -1 = ignored


def voxelise(
    xyz: NDArray[np.float32], voxel_size: float
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The voxels (m, 3) of positions (M, 3) >= 0, sorted, and the voxel of each position (M,)."""
    cell = np.floor(xyz / voxel_size).astype(np.int64)
    grid = tuple(cell.max(axis=0) + 1)
    flat, voxel_of = np.unique(np.ravel_multi_index(tuple(cell.T), grid), return_inverse=True)
    return np.column_stack(np.unravel_index(flat, grid)).astype(np.int32), voxel_of


def unit_colors(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Colours (M, 3) in 0..255 as the network takes them, in [-1, 1]."""
    return rgb.astype(np.float32) / 127.5 - 1.0


def crop(scene: Scene, voxels: int, rng: np.random.Generator) -> Scene:
    """The `voxels` voxels of a scan that are nearest to a random one of its voxels."""
    if len(scene.xyz) <= voxels:
        return scene
    distance = np.square(scene.xyz - scene.xyz[rng.integers(len(scene.xyz))]).sum(axis=1)
    kept = np.zeros(len(scene.xyz), bool)
    kept[np.argpartition(distance, voxels)[:voxels]] = True
    known = kept[scene.voxel]
    return Scene(
        xyz=scene.xyz[kept],
        rgb=scene.rgb[kept],
        voxel_size=scene.voxel_size,
        voxel=(np.cumsum(kept) - 1)[scene.voxel[known]],
        feature=scene.feature[known],
        label=scene.label[known],
    )


def make_sample(scene: Scene, augmentation: Augmentation, rng: np.random.Generator) -> Sample:
    """Augment the voxels of a scan and voxelise them again, with their supervision.

    If several fall into one voxel, their colours are averaged, and the embedding and label of the
    first supervised one are taken: a mean of embeddings would belong to no object.
    """
    xyz = augmentation.positions(scene.xyz, rng)
    rgb = augmentation.colors(unit_colors(scene.rgb), rng)
    shift = rng.uniform(0, _GRID_SHIFT * scene.voxel_size, 3)
    coords, voxel_of = voxelise(xyz - xyz.min(axis=0) + shift, scene.voxel_size)
    count = np.bincount(voxel_of)
    mean = [np.bincount(voxel_of, channel) / count for channel in rgb.T]
    row, first = np.unique(voxel_of[scene.voxel], return_index=True)
    return Sample(
        coords=coords,
        rgb=np.column_stack(mean).astype(np.float32),
        row=row,
        feature=scene.feature[first],
        label=scene.label[first],
    )
