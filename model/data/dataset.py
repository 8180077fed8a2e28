"""Training batches: scans that are read lazily, augmented, voxelised again and concatenated.

A batch is a function of the seed and its number only: training that resumes at any step, with any
number of workers, sees the same data.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model.data.augment import Augmentation
from model.data.features import Gathered, gather
from model.data.samples import Sample, crop, make_sample
from model.data.scans import Scan, Scenes, load
from model.network.inputs import COLOR_ONLY


class Batch(NamedTuple):
    """The samples of several scans, concatenated: m voxels, of which s are supervised."""

    inputs: torch.Tensor  # (m, C) float32
    indices: torch.Tensor  # (m, 4) int32 [scan, x, y, z]
    row: torch.Tensor  # (s,) int64 rows of the supervised voxels
    feature: torch.Tensor  # (s, d) float16; codes of them until the batch is moved
    label: torch.Tensor  # (s,) int64, -1 = ignored
    scan: torch.Tensor  # (s,) int64, in 0..B-1
    superpoint: torch.Tensor  # (s,) int64, no two scans share one; -1 = none
    probability: torch.Tensor  # (s, K) float16, or (s, 0) without soft labels
    present: torch.Tensor  # (B, K) bool, the tags of each scan; (B, 0) with dense labels
    scale: torch.Tensor = torch.empty(0, 1)  # of codes, see `Gathered`
    along: torch.Tensor = torch.empty(0, 0, 3)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on the device that trains, where features are decoded."""
        count = torch.bincount(self.scan, minlength=len(self.along)).tolist()
        moved = Batch(*(part.to(device, non_blocking=True) for part in self))
        features = Gathered(moved.feature, moved.scale, moved.along)
        return moved._replace(feature=features.decoded(count), scale=moved.scale[:0])


def batch_indices(coords: Sequence[NDArray[np.int32]]) -> torch.Tensor:
    """Voxel coordinates of several scans as spconv's indices (sum of M, 4) int32 [scan, x, y, z].

    `coords` has one array (M, 3) for each scan, non-negative and without repeats in a scan.
    """
    scan = np.repeat(np.arange(len(coords), dtype=np.int32), [len(c) for c in coords])
    return torch.from_numpy(np.column_stack([scan, np.concatenate(coords)]).astype(np.int32))


def collate(samples: Sequence[Sample]) -> Batch:
    """Concatenate samples to a batch."""
    begin = np.cumsum([0, *(len(s.coords) for s in samples[:-1])])
    row = [s.row + b for s, b in zip(samples, begin, strict=True)]
    scan = np.repeat(np.arange(len(samples)), [len(s.row) for s in samples])
    superpoint = np.concatenate([s.superpoint for s in samples])
    own = superpoint * len(samples) + scan
    features = gather([s.feature for s in samples])
    return Batch(
        inputs=torch.from_numpy(np.concatenate([s.inputs for s in samples])),
        indices=batch_indices([s.coords for s in samples]),
        row=torch.from_numpy(np.concatenate(row)),
        feature=features.code,
        label=torch.from_numpy(np.concatenate([s.label for s in samples])),
        scan=torch.from_numpy(scan),
        superpoint=torch.from_numpy(np.where(superpoint < 0, -1, own)),
        probability=torch.from_numpy(np.concatenate([s.probability for s in samples])),
        present=torch.from_numpy(np.stack([s.present for s in samples])),
        scale=features.scale,
        along=features.along,
    )


class _Samples(Scenes):
    """The endless sequence of samples of one run: all scans in a new order in each epoch."""

    def __init__(
        self,
        scans: Sequence[Scan],
        workers: int,
        seed: int,
        augmentation: Augmentation,
        max_voxels: int | None,
        inputs: Collection[str],
        voxel_size: float | None,
    ) -> None:
        super().__init__(scans, workers)
        self.seed, self.augmentation, self.max_voxels = seed, augmentation, max_voxels
        self.inputs, self.voxel_size = inputs, voxel_size

    def __getitem__(self, position: int) -> Sample:
        epoch, place = divmod(position, len(self.scans))
        scene = self.read(int(_order(self.seed, epoch, len(self.scans))[place]))
        rng = np.random.default_rng([self.seed, 1, position])
        if self.max_voxels is not None:
            scene = crop(scene, self.max_voxels, rng)
        return make_sample(scene, self.augmentation, rng, self.inputs, self.voxel_size)


@cache
def _order(seed: int, epoch: int, scans: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 0, epoch]).permutation(scans)


def read_batches(
    scans: Sequence[Scan],
    *,
    seed: int,
    batch: int,
    steps: range,
    augmentation: Augmentation,
    max_voxels: int | None = None,
    inputs: Collection[str] = COLOR_ONLY,
    voxel_size: float | None = None,
    workers: int = 0,
    part: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """The batches of the given steps, of `batch` scans each, or a part (r, n) of each of them.

    Part r of n has every n-th scan of a batch from scan r on.

    `max_voxels` of each scan are kept, all if None, and then voxelised with a `voxel_size` in
    metres, that of the scan if None.
    """
    samples = _Samples(scans, workers, seed, augmentation, max_voxels, inputs, voxel_size)
    first, every = part
    numbers = [list(range(step * batch + first, (step + 1) * batch, every)) for step in steps]
    yield from load(samples, numbers, collate, workers)
