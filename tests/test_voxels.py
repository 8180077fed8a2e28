"""Voxels: exact, without collisions, and independent of the order of the points."""

from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.errors import BadInput
from pipeline.geometry.votes import majority
from pipeline.scan import Cloud
from pipeline.stages import voxels
from tests.helpers import room

quick = settings(max_examples=60)

cells = hnp.arrays(np.int64, st.tuples(st.integers(1, 50), st.just(3)), elements=st.integers(0, 9))
far_cells = hnp.arrays(
    np.int64, st.tuples(st.integers(1, 50), st.just(3)), elements=st.integers(0, 2**21 - 1)
)


@st.composite
def clouds(draw: st.DrawFn) -> Cloud:
    """A few points in fewer voxels, far from the origin or near; some normals unknown."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 200))
    xyz = rng.normal(0, draw(st.sampled_from([0.02, 0.2])), (count, 3)) + rng.uniform(-9, 9, 3)
    normal = rng.normal(size=(count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    normal[rng.random(count) < 0.2] = 0
    return Cloud(
        xyz.astype(np.float32),
        rng.integers(0, 256, (count, 3), np.uint8),
        normal.astype(np.float32),
        rng.integers(-1, 4, count).astype(np.int32),
    )


@given(cells | far_cells)
@quick
def test_no_two_cells_share_a_number(cell: np.ndarray) -> None:
    assert len(np.unique(voxels.z_order(cell))) == len(np.unique(cell, axis=0))


@given(far_cells)
@quick
def test_the_number_interleaves_the_bits_of_x_y_z(cell: np.ndarray) -> None:
    for (x, y, z), key in zip(cell.tolist(), voxels.z_order(cell).tolist(), strict=True):
        assert key == sum(
            ((n >> bit) & 1) << (3 * bit + axis)
            for axis, n in enumerate((x, y, z))
            for bit in range(21)
        )


@given(clouds())
@quick
def test_each_point_is_in_its_voxel_and_no_voxel_is_empty_or_duplicate(cloud: Cloud) -> None:
    coords, voxel_of_point, origin = voxels.voxelise(cloud.xyz, 0.05)
    low = origin + coords[voxel_of_point] * 0.05
    assert (cloud.xyz >= low - 1e-6).all()
    assert (cloud.xyz < low + 0.05 + 1e-6).all()
    assert coords.min() == 0
    assert len(np.unique(coords, axis=0)) == len(coords)
    np.testing.assert_array_equal(np.unique(voxel_of_point), np.arange(len(coords)))


@given(clouds())
@quick
def test_voxels_have_the_means_and_majorities_of_their_points(cloud: Cloud) -> None:
    coords, of_point, _ = voxels.voxelise(cloud.xyz, 0.05)
    means = voxels.means(cloud.rgb, of_point, len(coords))
    segments = majority(cloud.segment, of_point, len(coords))
    assert len(means) == len(segments) == len(coords)
    for v, (mean, segment) in enumerate(zip(means, segments, strict=True)):
        mine = of_point == v
        np.testing.assert_allclose(mean, cloud.rgb[mine].astype(float).mean(0))
        votes = Counter(s for s in cloud.segment[mine].tolist() if s >= 0)
        best = [s for s, n in votes.items() if n == max(votes.values())]
        assert segment == min(best, default=-1)


@given(clouds(), st.randoms(use_true_random=False))
@quick
def test_the_order_of_the_points_does_not_matter(cloud: Cloud, random: Random) -> None:
    order = np.array(random.sample(range(len(cloud.xyz)), len(cloud.xyz)))
    coords, of_point, origin = voxels.voxelise(cloud.xyz, 0.05)
    coords_2, of_point_2, origin_2 = voxels.voxelise(cloud.xyz[order], 0.05)
    np.testing.assert_array_equal(coords, coords_2)
    np.testing.assert_array_equal(origin, origin_2)
    np.testing.assert_array_equal(of_point[order], of_point_2)
    np.testing.assert_array_equal(
        majority(cloud.segment, of_point, len(coords)),
        majority(cloud.segment[order], of_point_2, len(coords)),
    )
    np.testing.assert_allclose(
        voxels.means(cloud.xyz, of_point, len(coords)),
        voxels.means(cloud.xyz[order], of_point_2, len(coords)),
    )


@given(clouds(), hnp.arrays(np.float32, 3, elements=st.floats(-40, 40, width=32)))
@quick
def test_one_more_point_moves_no_other_to_another_voxel(cloud: Cloud, extra: np.ndarray) -> None:
    _, before, _ = voxels.voxelise(cloud.xyz, 0.05)
    _, after, _ = voxels.voxelise(np.vstack([cloud.xyz, extra]), 0.05)
    together = before[:, None] == before
    np.testing.assert_array_equal(together, after[:-1, None] == after[:-1])


def test_normals_have_unit_length_and_are_unknown_where_they_cancel() -> None:
    means = np.array([[0, 0, 0.5], [0, 0, 0], [1e-17, 0, 0], [0.3, 0.4, 0]])
    expected = np.array([[0, 0, 1], [0, 0, 0], [0, 0, 0], [0.6, 0.8, 0]])
    np.testing.assert_allclose(voxels.unit_or_zero(means), expected)


def test_an_entry_contains_the_points_and_no_label() -> None:
    cloud = room.cloud()
    entry = room.run(voxels, {"voxel_size": 0.05}, raw=cloud)
    np.testing.assert_array_equal(entry["xyz"][:], cloud.xyz)
    np.testing.assert_array_equal(entry["rgb"][:], cloud.rgb)
    kinds = {name: str(array.dtype) for name, array in entry.arrays()}
    assert kinds == {
        "xyz": "float32",
        "rgb": "uint8",
        "normal": "float32",
        "segment": "int32",
        "coords": "int32",
        "voxel_of_point": "int32",
        "voxel_xyz": "float32",
        "voxel_rgb": "uint8",
        "voxel_normal": "float32",
        "voxel_segment": "int32",
        "left_out": "int64",
    }
    assert entry.attrs["offset"] == [0, 0, 0]
    assert entry.attrs["voxel_size"] == 0.05
    origin, of_point = np.array(entry.attrs["origin"]), entry["voxel_of_point"][:]
    low = (origin + 0.05 * entry["coords"][:])[of_point]
    assert ((cloud.xyz > low - 1e-5) & (cloud.xyz < low + 0.05 + 1e-5)).all()
    off = np.abs(entry["voxel_xyz"][:][of_point] - cloud.xyz).max()
    assert off < 0.05
    lengths = np.linalg.norm(entry["voxel_normal"][:], axis=1)
    known = lengths > 0  # the undersides of furniture cancel the floor that they stand on
    assert 0.9 < known.mean() < 1
    np.testing.assert_allclose(lengths[known], 1, atol=1e-6)


def _with_positions(xyz: list[list[float]]) -> Cloud:
    count = len(xyz)
    return Cloud(
        np.array(xyz, np.float32).reshape(-1, 3),
        np.zeros((count, 3), np.uint8),
        np.zeros((count, 3), np.float32),
        np.zeros(count, np.int32),
    )


@pytest.mark.parametrize(
    ("xyz", "said"),
    [
        ([], "contains no point"),
        ([[0, 0, 0], [0, np.nan, 0]], "not finite"),
        ([[0, 0, 0], [1e9, 0, 0]], "too far"),
    ],
)
def test_a_cloud_that_cannot_be_voxelised_is_refused(xyz: list[list[float]], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        room.run(voxels, {"voxel_size": 0.02}, raw=_with_positions(xyz))
