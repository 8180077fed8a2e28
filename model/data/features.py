"""Fused 2D embeddings of a scan's voxels: which rows are wanted is known before they are read.

Rows are gathered as they are stored, and decoded where the training is: on a GPU, one matrix
product takes the place of reading all numbers (`pipeline.grids.fused` says how they are stored).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from pipeline.grids.fused import codec_of, decode, read_along
from pipeline.store.mapped import MappedArray

_CPU_ROWS = 1024  # decoded at a time, which stay in a core's cache


def _nothing() -> NDArray[np.float32]:
    return np.zeros((0, 3), np.float32)


@dataclass(frozen=True)
class Features:
    """Features of n voxels, rows of an array in a file or in memory; choosing reads nothing."""

    source: MappedArray | NDArray[np.float16]  # float16 of width d, or codes of them
    row: NDArray[np.int64]  # (n,)
    scale: MappedArray | None = None  # float16 of width 1, of codes
    along: NDArray[np.float32] = field(
        default_factory=_nothing
    )  # (r, 3 + d) what codes are components along

    @classmethod
    def of(cls, source: MappedArray | NDArray[np.float16]) -> "Features":
        """All rows of an array of float16."""
        return cls(source, np.arange(source.shape[0]))

    @classmethod
    def none(cls, count: int) -> "Features":
        """Features of width 0, where there is nothing to learn from 2D."""
        return cls.of(np.zeros((count, 0), np.float16))

    def __len__(self) -> int:
        """n."""
        return len(self.row)

    def __getitem__(self, chosen: NDArray[Any]) -> "Features":
        """Some of them, by a mask (n,) or by numbers."""
        return Features(self.source, self.row[chosen], self.scale, self.along)


class Gathered(NamedTuple):
    """Features of several scans as they are stored, s rows of B scans."""

    code: torch.Tensor  # (s, d) float16, or (s, n) codes
    scale: torch.Tensor  # (s, 1) float16 of codes, or (0, 1)
    along: torch.Tensor  # (B, r, 3 + d) float32 where codes are components, or (B, 0, 3)

    def decoded(self, count: Sequence[int]) -> torch.Tensor:
        """The features (s, d) float16, on their device; `count` (B,) rows are of each scan."""
        if self.code.dtype == torch.float16:
            return self.code
        width = self.along.shape[2] - 3 if self.along.shape[1] else self.code.shape[1]
        out = self.code.new_empty((len(self.code), width), dtype=torch.float16)
        at_once = _CPU_ROWS if out.device.type == "cpu" else max(1, len(out))
        end = 0
        for along, rows in zip(self.along, count, strict=True):
            begin, end = end, end + rows
            for first in range(begin, end, at_once):
                some = slice(first, min(first + at_once, end))
                code, scale = self.code[some], self.scale[some].float()
                out[some] = decode(code, scale, along, along.new_empty((len(code), len(along))))
        return out


def gather(parts: Sequence[Features]) -> Gathered:
    """The features of several scans, one after the other, each row copied once.

    In a worker of a `DataLoader` they are in memory that it shares with the training. All scans
    have the same codec.
    """
    scales = [(part.scale, part.row) for part in parts if part.scale is not None]
    return Gathered(
        code=_joined([(part.source, part.row) for part in parts]),
        scale=_joined(scales) if scales else torch.empty(0, 1, dtype=torch.float16),
        along=torch.from_numpy(np.stack([part.along for part in parts])),
    )


def read_features(parts: Sequence[Features]) -> torch.Tensor:
    """The features (n, d) float16 of several scans, one after the other."""
    return gather(parts).decoded([len(part) for part in parts])


def open_features(targets: Path, entry: zarr.Group) -> Features:
    """The features of a `targets` entry, which is open.

    Raises `Damaged` where it is not as it was made, and `BadInput` for an unknown codec.
    """
    codec = codec_of(entry)
    if codec in ("fp16", "superpoints"):
        found = Features.of(MappedArray(targets, "feature"))
        if codec == "fp16":
            return found
        return found[np.asarray(cast(zarr.Array, entry["place"])).astype(np.int64)]
    code, scale = MappedArray(targets, "code"), MappedArray(targets, "scale")
    return Features(code, np.arange(code.shape[0]), scale, read_along(entry))


def _gather(source: MappedArray | NDArray[Any], row: NDArray[np.int64], out: NDArray[Any]) -> None:
    if isinstance(source, MappedArray):
        source.read(row, out)
    else:
        out[:] = source[row]


def _joined(
    parts: Sequence[tuple[MappedArray | NDArray[Any], NDArray[np.int64]]],
) -> torch.Tensor:
    """Rows of several arrays of one width and type, one array after the other."""
    first = parts[0][0]
    kind = torch.from_numpy(np.empty(0, first.dtype)).dtype
    joined = torch.empty((sum(len(row) for _, row in parts), first.shape[1]), dtype=kind)
    if get_worker_info() is not None:
        joined.share_memory_()
    begin = 0
    for source, row in parts:
        _gather(source, row, joined.numpy()[begin : begin + len(row)])
        begin += len(row)
    return joined
