"""Fused 2D embeddings of a scan's voxels: which rows are wanted is known before they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from pipeline.store.mapped import MappedArray


@dataclass(frozen=True)
class Features:
    """Features (n, d) float16, rows of an array in a file or in memory; choosing reads nothing."""

    source: MappedArray | NDArray[np.float16]
    row: NDArray[np.int64]  # (n,)

    @classmethod
    def of(cls, source: MappedArray | NDArray[np.float16]) -> "Features":
        """All rows of an array."""
        return cls(source, np.arange(source.shape[0]))

    @classmethod
    def none(cls, count: int) -> "Features":
        """Features of width 0, where there is nothing to learn from 2D."""
        return cls.of(np.zeros((count, 0), np.float16))

    @property
    def width(self) -> int:
        """d."""
        return self.source.shape[1]

    def __len__(self) -> int:
        """n."""
        return len(self.row)

    def __getitem__(self, chosen: NDArray[Any]) -> "Features":
        """Some of them, by a mask (n,) or by numbers."""
        return Features(self.source, self.row[chosen])

    def read(self, out: NDArray[np.float16]) -> None:
        """Copy them to `out` (n, d)."""
        if isinstance(self.source, MappedArray):
            self.source.read(self.row, out)
        else:
            out[:] = self.source[self.row]


def read_features(parts: Sequence[Features]) -> torch.Tensor:
    """The features of several scans, one after the other, each row copied once.

    In a worker of a `DataLoader` they are in memory that it shares with the training.
    """
    end = np.cumsum([len(part) for part in parts]).tolist()
    shape = (end[-1], parts[0].width)
    joined = torch.empty(shape, dtype=torch.float16)
    if get_worker_info() is not None:
        joined.share_memory_()
    for part, last in zip(parts, end, strict=True):
        part.read(joined.numpy()[last - len(part) : last])
    return joined


def open_features(targets: Path) -> Features:
    """The features of a `targets` entry. Raises `Damaged` where it is not as it was made."""
    return Features.of(MappedArray(targets, "feature"))
