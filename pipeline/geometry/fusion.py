"""Multi-view fusion: weighted sums of bilinear samples of many embedding grids.

Samples are d-vectors, so they are never materialised. Voxels that are neighbours in the list are
neighbours in space, and all samples of a few of them in one frame are in a small box of grid cells:
their sum over the frames is the product of a small dense matrix of weights and the cells of these
boxes. A matrix product takes about a fifth of the time of indexing samples or of a sparse product.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

TILE = 16  # rows per product: with more the boxes grow, with fewer there are more calls
WEIGHT_BYTES = 64 << 20  # of the small matrices in memory at a time

# From a frame and a mask (h w,) of its cells to the embeddings (n, d) of those in the mask.
ReadCells: TypeAlias = Callable[[int, NDArray[np.bool_]], NDArray[np.floating]]


@dataclass(frozen=True)
class Samples:
    """Where grids are sampled, and for which rows of the result.

    Ordered by frame, and by row within a frame; a frame has at most one sample for a row.
    """

    row: NDArray[np.int64]  # (P,)
    frame: NDArray[np.int64]  # (P,)
    xy: NDArray[np.float32]  # (P, 2) column and row in the grid, within its outermost centres
    weight: NDArray[np.float32]  # (P,)


def accumulate(
    total: NDArray[np.float32],
    samples: Samples,
    grid_size: tuple[int, int],
    read_cells: ReadCells,
    weight_bytes: int = WEIGHT_BYTES,
) -> None:
    """Add weight x grid(frame) at xy to each sample's row of `total` (n, d).

    `read_cells` returns the needed cells of a frame of (h, w) = `grid_size`. It is called once per
    frame, unless neighbours in `total` are so far apart in the image that their boxes must be
    processed in several parts.
    """
    if len(samples.row) == 0:
        return
    runs = _runs(samples)
    if len(runs.begin) > 1 and 4 * TILE * int(runs.size.sum()) > weight_bytes:
        middle = int(runs.begin[len(runs.begin) // 2])
        for half in (slice(middle), slice(middle, None)):
            part = Samples(*(values[half] for values in vars(samples).values()))
            accumulate(total, part, grid_size, read_cells, weight_bytes)
        return
    weights, columns = _weights(samples, runs, len(total))
    table, cell = _cells(samples, runs, grid_size, read_cells)
    boxes = np.empty(
        (columns.max(), table.shape[1]), np.float32
    )  # reused, because allocation would dominate
    first = 0
    for tile, count in enumerate(columns):
        if count:
            box = np.take(table, cell[first : first + count], 0, boxes[:count], mode="clip")
            rows = total[tile * TILE : (tile + 1) * TILE]
            matrix = weights[TILE * first : TILE * first + len(rows) * count]
            rows += matrix.reshape(-1, count) @ box
            first += count


@dataclass(frozen=True)
class _Runs:
    """The samples of one frame in one tile, and the box of grid cells around them."""

    begin: NDArray[np.int64]  # (R,) first sample
    length: NDArray[np.int64]
    tile: NDArray[np.int64]
    left: NDArray[np.int32]  # first column and row of the box
    top: NDArray[np.int32]
    wide: NDArray[np.int32]  # its size in cells
    size: NDArray[np.int32]
    order: NDArray[np.int64]  # (R,) runs sorted by tile, which is the order of the boxes' cells
    start: NDArray[np.int64]  # (R,) first cell of the box in that order


def _runs(samples: Samples) -> _Runs:
    tile = samples.row // TILE
    new = np.diff(tile, prepend=-1) | np.diff(samples.frame, prepend=-1)
    begin = np.flatnonzero(new)
    corner = samples.xy.astype(np.int32)
    low, high = np.minimum.reduceat(corner, begin), np.maximum.reduceat(corner, begin)
    wide, tall = (high - low + 2).T
    size, order = wide * tall, np.argsort(tile[begin], kind="stable")
    start = np.empty(len(begin), np.int64)
    start[order] = np.cumsum(size[order]) - size[order]
    length = np.diff(begin, append=len(tile))
    left, top = low.T
    return _Runs(begin, length, tile[begin], left, top, wide, size, order, start)


def _weights(
    samples: Samples, runs: _Runs, rows: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The tiles' matrices (TILE, cells of its boxes), concatenated, and their widths."""
    columns = np.bincount(runs.tile, runs.size, minlength=-(-rows // TILE)).astype(np.int64)
    weights = np.zeros(TILE * int(columns.sum()), np.float32)
    # Position = begin of the matrix + row in the tile * width + begin of the box + cell in the box,
    # separated into the terms of the run and those of the sample.
    width = columns[runs.tile]
    first = (np.cumsum(columns) - columns)[runs.tile]
    origin = (TILE - 1) * first - TILE * runs.tile * width + runs.start
    origin -= runs.top * runs.wide + runs.left
    wide = np.repeat(runs.wide, runs.length)
    corner = samples.xy.astype(np.int32)
    x, y = corner.T
    at = np.repeat(origin, runs.length) + samples.row * np.repeat(width, runs.length)
    at += y * wide + x
    right, below = (samples.xy - corner).T
    bottom = samples.weight * below
    top = samples.weight - bottom
    weights[at] = top - top * right
    weights[at + 1] = top * right
    at += wide
    weights[at] = bottom - bottom * right
    weights[at + 1] = bottom * right
    return weights, columns


def _cells(
    samples: Samples,
    runs: _Runs,
    grid_size: tuple[int, int],
    read_cells: ReadCells,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The embeddings (C, d) of all cells in a box, and the cell of each column.

    They are converted to float32 only once: from float16 that takes as long as the products.
    """
    height, width = grid_size
    frames, slot = np.unique(samples.frame[runs.begin], return_inverse=True)
    run = np.repeat(runs.order, runs.size[runs.order])
    within = np.arange(len(run)) - runs.start[run]
    down, along = np.divmod(within.astype(np.int32), runs.wide[run])
    # A box ends one cell beyond the grid where a sample is on its last centres, with weight 0.
    row = np.minimum(runs.top[run] + down, height - 1)
    column = np.minimum(runs.left[run] + along, width - 1)
    cell = (slot[run] * height + row) * width + column
    used = np.zeros((len(frames), height * width), bool)
    used.ravel()[cell] = True
    parts = [read_cells(int(frame), need) for frame, need in zip(frames, used, strict=True)]
    return np.concatenate(parts, dtype=np.float32), (np.cumsum(used) - 1)[cell]
