"""Training batches: scans that are read lazily, augmented, voxelised again and concatenated.

A batch is a function of the seed and its number only: training that resumes at any step, with any
number of workers, sees the same data.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from model.data.augment import Augmentation
from model.data.entries import ScanEntries, Scene, read_array, read_entry
from model.data.samples import Sample, crop, make_sample
from model.network.inputs import COLOR_ONLY

_CACHE_BYTES = 4 << 30  # data sets up to this size are kept in memory


class Scan(Protocol):
    """A scan that can be read: `ScanEntries`, or a `LabelledScan` for full supervision."""

    @property
    def scan(self) -> str:
        """Its name."""

    @property
    def size(self) -> int:
        """Bytes on disk."""

    def read(self) -> Scene:
        """Read the scan."""


AnyScan = TypeVar("AnyScan", bound=Scan)


def in_order(scans: Sequence[AnyScan]) -> list[AnyScan]:
    """Scans sorted by name, so that no result depends on their order.

    Raises `ValueError` if there is none.
    """
    if not scans:
        raise ValueError("there is no scan to train on")
    return sorted(scans, key=lambda scan: scan.scan)


class Batch(NamedTuple):
    """The samples of several scans, concatenated: m voxels, of which s are supervised."""

    inputs: torch.Tensor  # (m, C) float32
    indices: torch.Tensor  # (m, 4) int32 [scan, x, y, z]
    row: torch.Tensor  # (s,) int64 rows of the supervised voxels
    feature: torch.Tensor  # (s, d) float16
    label: torch.Tensor  # (s,) int64, -1 = ignored

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(*(part.to(device, non_blocking=True) for part in self))


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
    return Batch(
        inputs=torch.from_numpy(np.concatenate([s.inputs for s in samples])),
        indices=batch_indices([s.coords for s in samples]),
        row=torch.from_numpy(np.concatenate(row)),
        feature=torch.from_numpy(np.concatenate([s.feature for s in samples])),
        label=torch.from_numpy(np.concatenate([s.label for s in samples])),
    )


class Scenes(Dataset):
    """Scans by number, kept in memory if all of them fit."""

    def __init__(self, scans: Sequence[Scan], workers: int) -> None:
        self.scans = scans
        # With workers each process would keep its own copy.
        small = workers == 0 and sum(scan.size for scan in scans) <= _CACHE_BYTES
        self._kept: dict[int, Scene] | None = {} if small else None

    def read(self, number: int) -> Scene:
        """Read a scan now: entries must be opened in the process that reads them."""
        if self._kept is None:
            return self.scans[number].read()
        if number not in self._kept:
            self._kept[number] = self.scans[number].read()
        return self._kept[number]


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


def load(dataset: Dataset, batches: Sequence[Any], collate_fn: Any, workers: int) -> DataLoader:
    """Read `batches`, each a list of keys of `dataset`, in `workers` processes (0: in this one)."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=collate_fn,
        num_workers=workers,
        multiprocessing_context="forkserver" if workers else None,
        pin_memory=torch.cuda.is_available(),
    )


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
) -> Iterator[Batch]:
    """The batches of the given steps, of `batch` scans each.

    `max_voxels` of each scan are kept, all if None, and then voxelised with a `voxel_size` in
    metres, that of the scan if None.
    """
    samples = _Samples(scans, workers, seed, augmentation, max_voxels, inputs, voxel_size)
    numbers = [list(range(step * batch, (step + 1) * batch)) for step in steps]
    yield from load(samples, numbers, collate, workers)


def count_labels(scans: Sequence[ScanEntries], classes: int) -> NDArray[np.int64]:
    """The number of voxels (K,) of all scans with each pseudo-label."""
    total = np.zeros(classes, np.int64)
    for scan in scans:
        label = read_array(read_entry(scan.pseudo_labels), "label")
        total += np.bincount(label[label >= 0], minlength=classes)
    return total
