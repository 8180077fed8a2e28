"""Large scans in pieces that overlap, so that memory is bounded by the size of a piece.

A scan of at most `most` of the network's voxels is one piece. A larger one is cut in two at the
median of its voxels along its longest side, again and again, until a piece with a margin of 32
voxels around it has at most `most`. The network is given the piece with its margin, and what it
says of the margin is dropped, so every voxel belongs to one piece.

Cuts are at multiples of 16 voxels, the cells of the network's coarsest level: so all levels have
the same cells as those of the whole scan, and only what the network would see beyond the margin is
missing. Heights, normals and colours are those of the whole scan. A piece never becomes narrower
than one such cell: where 16 + 2 * 32 voxels a side have more than `most`, it keeps more.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model.data.whole_scan import WholeScan

MARGIN = 32  # voxels
_CELL = 16  # voxels: 2**4, for the four levels of the network


class Piece(NamedTuple):
    """The voxels of a scan that the network is given at a time."""

    row: NDArray[np.int64]  # (p,) increasing; with the margin
    own: NDArray[np.bool_]  # (p,) False in the margin


def pieces(coords: NDArray[np.int32], most: int) -> Iterator[Piece]:
    """The pieces of a scan with voxels (m, 3) >= 0; each voxel is the own one of one of them."""
    todo = [(np.arange(len(coords)), coords.min(axis=0), coords.max(axis=0) + 1)]
    while todo:
        row, low, high = todo.pop()
        mine = coords[row[_within(coords[row], low, high)]]
        if not len(mine):
            continue
        low = mine.min(axis=0) // _CELL * _CELL
        high = (mine.max(axis=0) // _CELL + 1) * _CELL
        row = row[_within(coords[row], low - MARGIN, high + MARGIN)]
        own = _within(coords[row], low, high)
        axis = int(np.argmax(high - low))
        if len(row) <= most or high[axis] - low[axis] <= _CELL:
            yield Piece(row, own)
            continue
        middle = int(np.median(mine[:, axis])) // _CELL * _CELL
        cut = np.clip(middle, low[axis] + _CELL, high[axis] - _CELL)
        first_high, second_low = high.copy(), low.copy()
        first_high[axis] = second_low[axis] = cut
        todo += [(row, second_low, high), (row, low, first_high)]


def in_pieces(
    given: WholeScan, most: int | None, compute: Callable[[WholeScan], torch.Tensor]
) -> NDArray[np.float32]:
    """What `compute` (p, C) gives for all m voxels of a scan, (m, C), piece by piece.

    One piece, whatever its size, if `most` is None.
    """
    if most is None or len(given.coords) <= most:
        return compute(given).cpu().numpy()
    found = np.zeros((len(given.coords), 0), np.float32)
    for row, own in pieces(given.coords, most):
        coords = given.coords[row]
        coords = coords - coords.min(axis=0) // _CELL * _CELL
        part = compute(WholeScan(coords, given.inputs[row], np.arange(len(row)))).cpu().numpy()
        if not found.size:
            found = np.zeros((len(given.coords), part.shape[1]), part.dtype)
        found[row[own]] = part[own]
    return found


def _within(
    coords: NDArray[np.int32], low: NDArray[np.int32], high: NDArray[np.int32]
) -> NDArray[np.bool_]:
    return np.asarray(((coords >= low) & (coords < high)).all(axis=1))
