"""One training sample: a scan that is cropped, augmented and voxelised again."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.data.augment import Augmentation
from model.data.entries import Scene
from model.data.features import Features
from model.data.inputs import VoxelValues, unit_colors
from model.network.inputs import COLOR_ONLY

_GRID_SHIFT = 16  # voxels; the coarsest level of the network has cells of this size


class Sample(NamedTuple):
    """One scan as the network sees it: m voxels, of which s are supervised."""

    coords: NDArray[np.int32]  # (m, 3) >= 0, no repeats
    inputs: NDArray[np.float32]  # (m, C)
    row: NDArray[np.int64]  # (s,) the supervised voxels, increasing
    feature: Features  # (s, d)
    label: NDArray[np.int64]  # (s,) -1 = ignored
    superpoint: NDArray[np.int64]  # (s,) -1 = none
    probability: NDArray[np.float16]  # (s, K), or (s, 0) without soft labels
    present: NDArray[np.bool_]  # (K,), or (0,) with dense labels


def voxelise(
    xyz: NDArray[np.float32], voxel_size: float
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The voxels (m, 3) of positions (M, 3) >= 0, sorted, and the voxel of each position (M,)."""
    cell = np.floor(xyz / voxel_size).astype(np.int64)
    grid = tuple(cell.max(axis=0) + 1)
    flat, voxel_of = np.unique(np.ravel_multi_index(tuple(cell.T), grid), return_inverse=True)
    return np.column_stack(np.unravel_index(flat, grid)).astype(np.int32), voxel_of


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
        normal=scene.normal[kept],
        height=scene.height[kept],
        voxel_size=scene.voxel_size,
        superpoint=scene.superpoint[kept],
        voxel=(np.cumsum(kept) - 1)[scene.voxel[known]],
        feature=scene.feature[known],
        label=scene.label[known],
        probability=scene.probability[known],
        present=scene.present,
    )


def make_sample(
    scene: Scene,
    augmentation: Augmentation,
    rng: np.random.Generator,
    inputs: Collection[str] = COLOR_ONLY,
    voxel_size: float | None = None,
) -> Sample:
    """Augment the voxels of a scan and voxelise them again, with their supervision.

    The voxels of the sample have `voxel_size` metres, those of the scan if None. If several fall
    into one, their inputs are averaged, and the embedding and label of the first supervised one are
    taken: a mean of embeddings would belong to no object.

    Normals turn with the scan, and heights scale with it. A height is still that above the scan's
    own floor: neither a tilt, which stands for a scan that is not quite upright, nor the elastic
    distortion changes it.
    """
    size = voxel_size or scene.voxel_size
    turn, scale = transform = augmentation.transform(rng)
    xyz = augmentation.positions(scene.xyz, transform, rng)
    rgb = augmentation.colors(unit_colors(scene.rgb), rng)
    shift = rng.uniform(0, _GRID_SHIFT * size, 3)
    coords, voxel_of = voxelise(xyz - xyz.min(axis=0) + shift, size)
    values = VoxelValues(rgb, scene.height * scale, scene.normal @ turn.T)
    row, first = np.unique(voxel_of[scene.voxel], return_index=True)
    return Sample(
        coords=coords,
        inputs=values.averaged(voxel_of).stack(inputs),
        row=row,
        feature=scene.feature[first],
        label=scene.label[first],
        superpoint=scene.superpoint[scene.voxel[first]].astype(np.int64),
        probability=scene.probability[first],
        present=scene.present,
    )
