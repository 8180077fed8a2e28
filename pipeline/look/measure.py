"""What a codec costs and keeps of some embeddings.

The reference is what the tower gave before it was rounded, at pixels that are read as `targets`
reads them.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.grids import writing
from pipeline.grids.reading import Grids
from pipeline.store import groups


@dataclass(frozen=True)
class Part:
    """What was found of a codec on some frames of one scan."""

    bytes_per_frame: int
    bytes_once: int  # of what a scan has once
    cosine: NDArray[np.float64]  # (P,) of each pixel, to the reference
    same: NDArray[np.bool_]  # (P,) whether the same class is the best
    megabytes: float  # of the vectors in fp16, whatever the codec
    write_seconds: float
    read_seconds: float


class Exact(Grids):
    """Grids that were never rounded, read at any pixel as those of an entry are."""

    def __init__(self, entry: zarr.Group, codec: ModuleType, grids: NDArray[np.float32]) -> None:
        """`grids` (F, h, w, d); `entry` has the same frames in any codec."""
        super().__init__(entry, codec)
        self.pixel_to_grid = entry.attrs["pixel_to_grid"]
        self._grids = grids.reshape(len(grids), -1, grids.shape[-1])

    def cells(self, frame: int, need: Any = slice(None)) -> NDArray[np.float32]:
        """As in an entry."""
        return self._grids[frame, need]


def part(
    codec: ModuleType,
    path: Path,
    cells: Sequence[NDArray[Any]],
    exact: Exact,
    uv: NDArray[np.float32],
    text: NDArray[np.float32],
) -> Part:
    """Write grids `cells`, F times f16 (h, w, d), as an entry at `path`, and read it again.

    They are compared with the `exact` ones at pixels `uv` (P, 2) of each frame, by classes (K, d).
    Raises `BadInput` where the codec cannot store them.
    """

    def write(out: zarr.Group) -> None:
        writing.write(out, codec, cells, exact.shape)
        out.attrs["pixel_to_grid"] = exact.pixel_to_grid

    write_seconds = write_entry(path, write)
    entry = groups.read(path)
    begin = time.perf_counter()
    grids = Grids(entry, codec)
    for frame in range(len(cells)):
        grids.frame(frame)
    read_seconds = time.perf_counter() - begin
    pairs = [compare(grids.read(f, uv), exact.read(f, uv), text) for f in range(len(cells))]
    cosine, same = (np.concatenate(values) for values in zip(*pairs, strict=True))
    megabytes = 2 * np.prod(exact.shape) / 1e6
    return Part(*nbytes(entry, codec), cosine, same, megabytes, write_seconds, read_seconds)


def write_entry(path: Path, fill: Callable[[zarr.Group], None]) -> float:
    """The seconds that it takes to write an entry that `fill` fills."""
    begin = time.perf_counter()
    with groups.create(path) as out:
        fill(out)
    return time.perf_counter() - begin


def compare(
    found: NDArray[np.float32], exact: NDArray[np.float32], text: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Cosine (P,) of embeddings (P, d), of any length but 0, to exact ones, and whether the best
    of the classes (K, d) is the same (P,).

    Pixels at which the exact ones are zero, as features from elsewhere may be, are left out.
    """
    known = exact.any(axis=1)
    a, b = found[known].astype(np.float64), exact[known].astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(1) / np.maximum(lengths, np.finfo(np.float64).tiny)
    return cosine, (a @ text.T).argmax(1) == (b @ text.T).argmax(1)


def pixels(size: Sequence[int], count: int, seed: int) -> NDArray[np.float32]:
    """Random pixels (count, 2), column and row, of an image of `size` (width, height)."""
    return np.random.default_rng(seed).integers(0, size, (count, 2)).astype(np.float32)


def nbytes(entry: zarr.Group, codec: ModuleType) -> tuple[int, int]:
    """The bytes of the arrays of an entry: those of a frame, and those that a scan has once."""
    arrays = dict(entry.arrays())
    of_frames = [arrays[name] for name in codec.PER_FRAME]
    frames = of_frames[0].shape[0]
    each = sum(array.nbytes for array in of_frames) // frames
    return each, sum(array.nbytes for array in arrays.values()) - each * frames
