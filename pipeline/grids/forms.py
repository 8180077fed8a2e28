"""The forms in which grids of embeddings are cached, and how they are made: see reading.py.

`low_rank` is what transform coding gives: principal components, of which the strong ones get more
bits (Huang and Schultheiss, "Block quantization of correlated Gaussian random variables", 1963).
At the same size it keeps more than product quantisation does, is made a hundred times faster, and
is read by one matrix product.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import zarr
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.grids.packing import BITS, pack, packed
from pipeline.store import arrays

FORMS = ("fp16", "int8", "low_rank")

_SAMPLE = 8192  # vectors that the directions of a scan are found from
_LEAST_DEPTH = 16  # with fewer numbers to a vector there is no direction to spare
_SHRINK = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)  # shares of the range that levels may cover


class Writer:
    """Writes the grids of one scan, frame by frame, in any order and from any thread."""

    def __init__(self, out: zarr.Group, form: str, shape: tuple[int, int, int, int]) -> None:
        """Make the arrays for a scan of `shape` (F, h, w, d); raises `BadInput`."""
        self._out, self._form, depth = out, form, shape[-1]
        check(form, depth)
        if form == "int8":
            self._array = arrays.create(out, "code", shape, np.int8, 1, compress=False)
            self._scale = np.zeros(shape[:3], np.float16)
        else:  # the directions of a scan are known when all of it is there
            self._array = arrays.create(out, "grid", shape, np.float16, 1, compress=False)

    def put(self, first: int, cells: NDArray[np.float16]) -> None:
        """Write the grids (B, h, w, d) of consecutive frames."""
        frames = slice(first, first + len(cells))
        if self._form == "int8":
            self._array[frames], self._scale[frames] = to_int8(cells)
        else:
            self._array[frames] = cells

    def finish(self, pool: ThreadPoolExecutor) -> None:
        """Write what is known only now; all frames have been put.

        For low_rank that is everything: the fp16 grids were laid down in the entry's own scratch,
        so that the tower reads a scan once and memory holds a few frames of it, and go now. Threads
        of the pool must each compute with one thread: only then are the bytes the same everywhere.
        """
        if self._form == "int8":
            arrays.write(self._out, "scale", self._scale, compress=False)
        if self._form != "low_rank":
            return
        count, height, width, depth = self._array.shape
        bands = bands_of(depth)
        along = pool.submit(lambda: fit(_sample(self._array), bands)).result()
        shape = (count, height, width, packed(bands))
        code = arrays.create(self._out, "code", shape, np.uint8, 1, compress=False)

        def encode(frame: int) -> None:
            cells = np.asarray(self._array[frame]).reshape(-1, depth)
            code[frame] = to_low_rank(cells, bands, along).reshape(shape[1:])

        for _ in pool.map(encode, range(count)):
            pass
        for name, values in vars(along).items():
            arrays.write(self._out, name, values, compress=False)
        self._out.attrs["bands"] = bands
        del self._out["grid"]


def write(
    out: zarr.Group, form: str, grid: Iterable[NDArray[np.float16]], shape: Sequence[int]
) -> None:
    """Write grids (h, w, d), in the order of the frames, as a scan of `shape` (F, h, w, d)."""
    frames, height, width, depth = shape
    writer = Writer(out, form, (frames, height, width, depth))
    with ThreadPoolExecutor(1, initializer=use_one_thread) as pool:
        for frame, cells in enumerate(grid):
            writer.put(frame, cells[None])
        writer.finish(pool)


def check(form: str, depth: int) -> None:
    """Raise `BadInput` where vectors of `depth` numbers cannot be held in `form`."""
    if form not in FORMS:
        raise BadInput("embeddings", f"there is no form {form}", f"take one of {', '.join(FORMS)}")
    if form == "low_rank" and depth < _LEAST_DEPTH:
        what = f"vectors of {depth} numbers are too short for the form low_rank"
        raise BadInput("embeddings", what, "set `form: int8`")


def use_one_thread() -> None:
    """Let this thread compute alone: others do the same beside it."""
    torch.set_num_threads(1)


def to_int8(cells: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Codes (..., d) and scales (...): no number is off by more than half of its vector's scale.

    The scale is the vector's largest number over 127, rounded up where float16 has no such number.
    """
    wide = cells.astype(np.float32)
    exact = np.abs(wide).max(-1) / 127
    if not np.isfinite(exact).all():
        what = "the image tower gave a vector that is not finite"
        raise BadInput("embeddings", what, "check its weights and the frame's image")
    scale = exact.astype(np.float16)
    scale = np.where(scale < exact, np.nextafter(scale, np.float16(np.inf)), scale)
    divisor = np.where(scale > 0, scale, np.float16(1)).astype(np.float32)
    return np.rint(wide / divisor[..., None]).astype(np.int8), scale


def bands_of(depth: int) -> list[int]:
    """How many components of vectors (depth,) are kept in 8, in 4 and in 2 bits.

    0.23 bytes for each number, where an eighth of fp16 is 0.25: the rest is for the directions.
    """
    return [depth // 16, depth // 12 * 2, depth // 12 * 4]


@dataclass(frozen=True)
class Directions:
    """Along which the vectors of a scan are held, and the levels: level k is at low + k step."""

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
    """The packed levels (n, bytes) of unit vectors (n, d): what `grids.decode` reads."""
    vectors = torch.from_numpy(cells.astype(np.float32))
    if not ((vectors.norm(dim=1) - 1).abs() < 0.01).all():
        what = "the form low_rank holds unit vectors, and a frame has others"
        raise BadInput("embeddings", what, "set `form: int8`")
    point = vectors @ _matrix(along.basis, along.basis_scale).T
    low, step = torch.from_numpy(along.low), torch.from_numpy(along.step)
    return pack(_nearest(point, low, step, _levels(bands)).byte().numpy(), bands)


def _matrix(basis: NDArray[np.int8], scale: NDArray[np.float16]) -> torch.Tensor:
    return torch.from_numpy(basis * scale.astype(np.float32)[:, None])


def _levels(bands: Sequence[int]) -> torch.Tensor:
    return torch.tensor([2.0**bits for bits, n in zip(BITS, bands, strict=True) for _ in range(n)])


def _nearest(
    point: torch.Tensor, low: torch.Tensor, step: torch.Tensor, levels: torch.Tensor
) -> torch.Tensor:
    """The nearest level, from 0 on, of each component of points (n, r)."""
    return torch.minimum(((point - low) / step).round().clamp(min=0), levels - 1)


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
