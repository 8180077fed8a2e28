"""Large clouds are labelled in pieces: memory is bounded, and seams hardly show."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model import load
from model.data.whole_scan import WholeScan
from model.inference.pieces import MARGIN, in_pieces, pieces
from pipeline.errors import BadInput

SHIPPED = Path(__file__).parents[1] / "data_manifest/demo/network/ess_esgs.safetensors"
LEAST = (16 + 2 * MARGIN) ** 3  # voxels of the narrowest piece, if all of space is full


def corridor(length: float, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Floor, walls and boxes along x: points (N, 3) of a corridor 3 m wide, and colours."""
    rng = np.random.default_rng(seed)
    count = int(length * 400)
    xyz = rng.uniform(0, 1, (count, 3)) * [length, 3, 2.5]
    part = rng.integers(0, 4, count)
    xyz[part == 0, 2], xyz[part == 1, 1], xyz[part == 2, 1] = 0, 0, 3
    box = part == 3
    xyz[box] = np.floor(xyz[box] / [4, 3, 2.5]) * [4, 3, 2.5] + xyz[box] % 1 + [1, 1, 0]
    rgb = np.array([[120, 90, 60], [220, 220, 210], [200, 200, 200], [180, 40, 40]])[part]
    return xyz, rgb.astype(np.uint8)


@given(st.integers(1, 400), st.integers(1, 300), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_each_voxel_belongs_to_one_piece_and_has_its_neighbours_there(
    count: int, most: int, spread: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    coords = np.unique(rng.integers(0, [90 * spread, 40, 20], (count, 3)), axis=0).astype(np.int32)
    owner = np.zeros(len(coords), int)
    for row, own in pieces(coords, most):
        assert (np.diff(row) > 0).all()
        owner[row[own]] += 1
        mine = coords[row[own]]
        near = np.abs(coords[:, None] - mine[None]).max(axis=2).min(axis=1) <= MARGIN
        assert set(np.flatnonzero(near)) <= set(row.tolist())
        if len(row) > most:  # it can be no narrower
            assert (mine.max(axis=0) // 16 == mine.min(axis=0) // 16).all()
    assert (owner == 1).all()


@pytest.mark.parametrize("most", [20_000, 60_000])
def test_no_piece_is_larger_than_it_may_be(most: int) -> None:
    """Of a surface of 400 by 800 voxels: the network never sees more than `most` at a time."""
    x, y = np.meshgrid(np.arange(400), np.arange(800))
    coords = np.stack([x.ravel(), y.ravel(), (x.ravel() // 7) % 5], 1).astype(np.int32)
    sizes = []

    def compute(part: WholeScan) -> torch.Tensor:
        sizes.append(len(part.coords))
        assert len(part.inputs) == len(part.voxel_of) == len(part.coords)
        assert part.coords.min() >= 0
        return torch.from_numpy(part.inputs)

    inputs = np.arange(2 * len(coords), dtype=np.float32).reshape(-1, 2)
    whole = WholeScan(coords, inputs, np.arange(len(coords)))
    np.testing.assert_array_equal(in_pieces(whole, most, compute), inputs)
    assert 1 < len(sizes) < 8 * len(coords) / most
    assert max(sizes) <= most < LEAST


def test_a_corridor_in_pieces_is_labelled_as_the_whole_corridor() -> None:
    xyz, rgb = corridor(60)
    whole = load(SHIPPED).label(xyz, rgb)
    net = load(SHIPPED, max_voxels=6_000)
    voxels = len(np.unique(xyz // 0.12, axis=0))
    assert voxels > 2 * net.max_voxels
    found = net.label(xyz, rgb)
    differ = np.abs(found.probability - whole.probability).max(axis=1)
    assert (found.ids != whole.ids).mean() < 0.002
    assert differ.mean() < 0.001
    assert (differ > 0).any(), "it was in pieces"


def test_a_cloud_that_fits_is_one_piece() -> None:
    xyz, rgb = corridor(5)
    whole = load(SHIPPED).label(xyz, rgb)
    fitting = load(SHIPPED, max_voxels=len(np.unique(np.floor(xyz / 0.12), axis=0)))
    np.testing.assert_array_equal(fitting.label(xyz, rgb).probability, whole.probability)


def test_a_bound_below_one_voxel_is_refused() -> None:
    with pytest.raises(BadInput, match="max_voxels: is 0; "):
        load(SHIPPED, max_voxels=0)
