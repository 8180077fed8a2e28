"""The codec `low_rank`: components along the scan's own directions, in an eighth of fp16's bytes.

An entry has `code` u8 (F, h, w, bytes), `basis` i8 (r, d), `basis_scale` f16 (r,), `low` and `step`
f32 (r,), and the attribute `bands`: a vector is a point along the scan's r principal directions
(`basis` times its scale), as many of them as `bands` says in 8 bits, in 4 and in 2, and has unit
length.

This is what transform coding gives: principal components, with more bits for the strong ones (Huang
and Schultheiss, "Block quantization of correlated Gaussian random variables", 1963). At the same
size it keeps more than product quantisation does, is made a hundred times faster, and is read by
one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.grids.packing import BITS, pack, packed, unpack
from pipeline.grids.rounding import stored, to_float32, to_int8
from pipeline.store import arrays

if TYPE_CHECKING:  # imported to write only, so that grids are read without it
    import torch

PACKAGES = ("torch",)
PER_FRAME = ("code",)  # arrays with a part for each frame
LEAST_DEPTH = 16  # with fewer numbers per vector there is no direction to spare

_SAMPLE = 8192  # vectors that the directions of a scan are found from
_SHRINK = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)  # shares of the range that levels may cover


def check(depth: int) -> None:
    """Raise `BadInput` where vectors (depth,) are too short."""
    if depth < LEAST_DEPTH:
        what = f"vectors of {depth} numbers are too short for the codec low_rank"
        raise BadInput("embeddings", what, "set `codec: int8`")


class Writer:
    """Writes the grids of one scan.

    The directions of a scan are known when all of it is there: until then the fp16 grids are in the
    entry itself, so that the tower reads a scan once and memory contains a few frames of it.
    """

    def __init__(self, out: zarr.Group, shape: tuple[int, int, int, int]) -> None:
        """Make the arrays for a scan of `shape` (F, h, w, d)."""
        self._out = out
        self._grid = arrays.create(out, "grid", shape, np.float16, 1, compress=False)

    def put(self, first: int, cells: NDArray[np.float16]) -> None:
        """Write the grids (B, h, w, d) of the frames from `first` on, as fp16 for now."""
        self._grid[first : first + len(cells)] = cells

    def finish(self, pool: ThreadPoolExecutor) -> None:
        """Encode all frames on the threads of `pool`, and delete the fp16 grids."""
        count, height, width, depth = self._grid.shape
        bands = bands_of(depth)
        along = pool.submit(lambda: fit(_sample(self._grid), bands)).result()
        shape = (count, height, width, packed(bands))
        code = arrays.create(self._out, "code", shape, np.uint8, 1, compress=False)

        def encode(frame: int) -> None:
            cells = np.asarray(self._grid[frame]).reshape(-1, depth)
            code[frame] = to_low_rank(cells, bands, along).reshape(shape[1:])

        for _ in pool.map(encode, range(count)):
            pass
        for name, values in vars(along).items():
            arrays.write(self._out, name, values, compress=False)
        self._out.attrs["bands"] = bands
        del self._out["grid"]


class Stored:
    """The grids of one entry."""

    def __init__(self, entry: zarr.Group) -> None:
        """Raises `LookupError`, `TypeError` or `ValueError` where the arrays are not there."""
        self._code = stored(entry, "code", np.uint8)
        frames, height, width, size = self._code.shape
        self._bands = cast(list[int], entry.attrs["bands"])
        if size != packed(self._bands):
            raise ValueError(f"bands {self._bands} do not fill {size} bytes")
        rank, depth = sum(self._bands), cast(zarr.Array, entry["basis"]).shape[1]
        self._low = to_float32(entry, "low", np.float32, (rank,))
        self._step = to_float32(entry, "step", np.float32, (rank,))
        self._basis = to_float32(entry, "basis", np.int8, (rank, depth))
        self._basis *= to_float32(entry, "basis_scale", np.float16, (rank,))[:, None]
        self.shape: tuple[int, ...] = (frames, height, width, depth)

    def cells(self, frame: int, need: Any) -> NDArray[np.float32]:
        """The vectors (n, d) of those cells of a frame that `need`, an index of h w, picks."""
        code = np.asarray(self._code[frame])
        code = code.reshape(-1, code.shape[-1])[need]
        point = np.empty((len(code), len(self._basis)), np.float32)
        return decode(code, self._bands, self._low, self._step, self._basis, point)


def decode(code: Any, bands: Sequence[int], low: Any, step: Any, basis: Any, point: Any) -> Any:
    """The vectors (n, d) of unit length that `code` u8 (n, bytes) encodes.

    All are numpy arrays or all are tensors of one device; `point` (n, r) f32 is overwritten.
    """
    unpack(code, bands, point)
    point *= step
    point += low
    point /= (point * point).sum(-1)[:, None] ** 0.5
    return point @ basis


def bands_of(depth: int) -> list[int]:
    """How many components of vectors (depth,) are kept in 8, in 4 and in 2 bits.

    0.23 bytes for each number, where an eighth of fp16 is 0.25: the rest is for the directions.
    """
    return [depth // 16, depth // 12 * 2, depth // 12 * 4]


@dataclass(frozen=True)
class Directions:
    """What the vectors of a scan are decomposed along; level k is at low + k step."""

    basis: NDArray[np.int8]  # (r, d), by falling strength; times basis_scale
    basis_scale: NDArray[np.float16]  # (r,)
    low: NDArray[np.float32]  # (r,)
    step: NDArray[np.float32]  # (r,)


def fit(sample: NDArray[np.float16], bands: Sequence[int]) -> Directions:
    """The principal directions of `sample` (S, d).

    Levels cover as much of the sample's range as leaves the least squared error; were they to cover
    all of it, no component of the sample would be off by more than half of its range over their
    number.
    """
    import torch

    torch.set_num_threads(1)  # only then are the bytes the same on every machine
    rank, depth = sum(bands), sample.shape[1]
    if len(sample) == 0:
        none, ones = np.zeros(rank, np.float32), np.ones(rank, np.float32)
        return Directions(np.zeros((rank, depth), np.int8), none.astype(np.float16), none, ones)
    vectors = torch.from_numpy(sample.astype(np.float32))
    moment = (vectors.T @ vectors).double() / len(vectors)
    basis, scale = to_int8(torch.linalg.eigh(moment).eigenvectors.T.flip(0)[:rank].numpy())
    point, levels = vectors @ _matrix(basis, scale).T, _levels(bands)
    mean, low, high = point.mean(0), point.min(0).values, point.max(0).values
    least = torch.full_like(mean, torch.inf)
    best_low, best_step = torch.zeros_like(mean), torch.zeros_like(mean)
    for share in _SHRINK:
        step = (share * (high - low) / levels).clamp(min=1e-12)
        first = mean + share * (low - mean) + step / 2
        off = _nearest(point, first, step, levels) * step + first - point
        error = (off * off).mean(0)
        better = error < least
        least, best_low, best_step = (
            torch.where(better, new, old)
            for new, old in ((error, least), (first, best_low), (step, best_step))
        )
    return Directions(basis, scale, best_low.numpy(), best_step.numpy())


def to_low_rank(
    cells: NDArray[np.float16], bands: Sequence[int], along: Directions
) -> NDArray[np.uint8]:
    """The packed levels (n, bytes) of unit vectors (n, d): what `decode` reads."""
    import torch

    torch.set_num_threads(1)  # only then are the bytes the same on every machine
    vectors = torch.from_numpy(cells.astype(np.float32))
    if not ((vectors.norm(dim=1) - 1).abs() < 0.01).all():
        what = "the codec low_rank stores unit vectors, and a frame has others"
        raise BadInput("embeddings", what, "set `codec: int8`")
    point = vectors @ _matrix(along.basis, along.basis_scale).T
    low, step = torch.from_numpy(along.low), torch.from_numpy(along.step)
    return pack(_nearest(point, low, step, _levels(bands)).byte().numpy(), bands)


def _matrix(basis: NDArray[np.int8], scale: NDArray[np.float16]) -> torch.Tensor:
    import torch

    return torch.from_numpy(basis * scale.astype(np.float32)[:, None])


def _levels(bands: Sequence[int]) -> torch.Tensor:
    import torch

    return torch.tensor([2.0**bits for bits, n in zip(BITS, bands, strict=True) for _ in range(n)])


def _nearest(
    point: torch.Tensor, low: torch.Tensor, step: torch.Tensor, levels: torch.Tensor
) -> torch.Tensor:
    """The nearest level, from 0 on, of each component of points (n, r)."""
    return ((point - low) / step).round().clamp(min=0).minimum(levels - 1)


def _sample(grid: zarr.Array) -> NDArray[np.float16]:
    """Vectors (S, d) from all over a scan; the same ones each time."""
    frames, height, width, depth = grid.shape
    count = frames * height * width
    picked = np.random.default_rng(0).choice(count, min(count, _SAMPLE), replace=False)
    frame, cell = np.divmod(np.sort(picked), height * width)
    parts = [
        np.asarray(grid[f]).reshape(-1, depth)[cell[frame == f]] for f in np.unique(frame).tolist()
    ]
    return np.concatenate(parts) if parts else np.empty((0, depth), np.float16)
