"""The scans of a training: read lazily, by number, in this process or in others."""

from collections.abc import Sequence
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from model.data.entries import ScanEntries, Scene

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


def split_scans(scans: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Numbers of the scans to train on and of those held out; of two scans, one each."""
    order = np.random.default_rng([seed, 2]).permutation(scans).tolist()
    held = min(scans - 1, max(1, round(share * scans))) if share > 0 else 0
    return sorted(order[held:]), sorted(order[:held])


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


def load(dataset: Dataset, batches: Sequence[Any], collate_fn: Any, workers: int) -> DataLoader:
    """Read `batches`, each a list of keys of `dataset`, in `workers` processes (0: in this one).

    Workers are forked from a server that imports torch and the data set's module once for all.
    """
    context = get_context("forkserver") if workers else None
    if context is not None:
        context.set_forkserver_preload([type(dataset).__module__])
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=collate_fn,
        num_workers=workers,
        multiprocessing_context=context,
        pin_memory=torch.cuda.is_available(),
    )


def count_labels(scans: Sequence[ScanEntries], classes: int) -> NDArray[np.int64]:
    """The number of voxels (K,) of all scans with each label that they learn."""
    total = np.zeros(classes, np.int64)
    for scan in scans:
        label = scan.labels().label
        total += np.bincount(label[label >= 0], minlength=classes)
    return total
