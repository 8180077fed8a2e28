"""Batches: augmented, voxelised again, and the same for the same seed and step."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.augment import Augmentation, elastic
from model.data.dataset import Batch, read_batches
from model.data.entries import Scene
from model.data.features import Features, read_features
from model.data.samples import crop, make_sample, voxelise
from model.data.scans import count_labels
from pipeline.errors import BadInput
from pipeline.geometry.votes import majority
from pipeline.stages.voxels import unit_or_zero
from pipeline.store import arrays, groups
from tests.helpers.tiny_entries import GENTLE, VOXEL_SIZE, Room, write_rooms

STILL = Augmentation(rotation=False, tilt=0, scale=0, flip=False, elastic=False, color=0)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> list[Room]:
    return write_rooms(tmp_path_factory.mktemp("rooms"), range(3))


def read(rooms: list[Room], steps: range, seed: int = 0, **options: Any) -> list[Batch]:
    given: dict[str, Any] = {"batch": 2, "augmentation": Augmentation(**GENTLE), **options}
    return list(read_batches([room.weak for room in rooms], seed=seed, steps=steps, **given))


def same(a: Batch, b: Batch) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_step_has_the_same_batch_wherever_training_began(rooms: list[Room]) -> None:
    through, late = read(rooms, range(6)), read(rooms, range(4, 6))
    assert all(same(a, b) for a, b in zip(through[4:], late, strict=True))
    assert not same(
        through[0], through[3]
    )  # the same scans in another epoch, augmented differently


def test_another_seed_has_other_batches(rooms: list[Room]) -> None:
    assert not same(read(rooms, range(1), seed=0)[0], read(rooms, range(1), seed=1)[0])


def test_worker_processes_read_what_this_process_reads(rooms: list[Room]) -> None:
    """An entry that was opened before a fork would give wrong data."""
    here, there = read(rooms, range(3)), read(rooms, range(3), workers=1)
    assert all(same(a, b) for a, b in zip(here, there, strict=True))


def test_every_scan_is_seen_once_in_an_epoch(rooms: list[Room]) -> None:
    sizes = sorted(len(room.weak.read().voxel) for room in rooms)
    seen = read(rooms, range(3), batch=1, augmentation=STILL)
    assert len(set(sizes)) == 3
    kept = sorted(len(batch.row) for batch in seen)
    assert all(0.5 * size < found <= size for size, found in zip(sizes, kept, strict=True))


def test_a_batch_is_what_the_network_takes(rooms: list[Room]) -> None:
    batch = read(rooms, range(1))[0]
    assert batch.indices.dtype == torch.int32
    assert set(batch.indices[:, 0].tolist()) == {0, 1}
    assert len(batch.indices.unique(dim=0)) == len(batch.indices) == len(batch.inputs)
    assert batch.indices.min() >= 0
    assert batch.inputs.abs().max() <= 1
    assert batch.row.diff().min() > 0
    assert len(batch.row) == len(batch.feature) == len(batch.label) < len(batch.inputs)


def test_superpoints_of_two_scans_in_a_batch_are_different(rooms: list[Room]) -> None:
    batch = read(rooms, range(1), augmentation=STILL)[0]
    tags = [room.weak.present() for room in rooms]
    for scan in (0, 1):
        of_scan = batch.superpoint[(batch.scan == scan) & (batch.superpoint >= 0)]
        others = batch.superpoint[batch.scan != scan]
        assert len(of_scan.unique()) > 10
        assert not set(of_scan.tolist()) & set(others.tolist())
        assert any(torch.equal(batch.present[scan], torch.from_numpy(t)) for t in tags)
        first, last = batch.indices[:, 0].eq(scan).nonzero().flatten()[[0, -1]]
        rows = batch.row[batch.scan == scan]
        assert ((rows >= first) & (rows <= last)).all()
    assert (batch.superpoint == -1).any()


def one_voxel_each(seed: int) -> Scene:
    """A scan whose voxels are 5 apart, so that none merge; each has its own number."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(np.argwhere(np.ones((6, 5, 4)))) * 5
    voxel = np.sort(rng.choice(len(cells), 70, replace=False))
    return Scene(
        xyz=((cells + 0.5) * VOXEL_SIZE).astype(np.float32),
        rgb=np.repeat(np.arange(len(cells), dtype=np.uint8)[:, None], 3, 1),
        normal=unit_or_zero(rng.normal(size=(len(cells), 3))).astype(np.float32),
        height=(cells[:, 2] * VOXEL_SIZE).astype(np.float32),
        voxel_size=VOXEL_SIZE,
        voxel=voxel,
        feature=Features.of(voxel[:, None].astype(np.float16)),
        label=voxel.astype(np.int64),
        superpoint=np.arange(len(cells), dtype=np.int32),
        probability=voxel[:, None].astype(np.float16),
        present=np.array([True, False]),
    )


@given(seed=st.integers(0, 2**31), turned=st.booleans())
@settings(max_examples=25)
def test_embedding_and_label_follow_their_voxel(seed: int, turned: bool) -> None:
    scene = one_voxel_each(seed % 7)
    augmentation = Augmentation(color=0, rotation=turned, scale=0.0)
    sample = make_sample(scene, augmentation, np.random.default_rng(seed))
    number = np.round((sample.inputs[:, 0] + 1) * 127.5).astype(int)  # its colour is its number
    assert len(sample.coords) == len(scene.xyz)
    assert sorted(number[sample.row]) == scene.voxel.tolist()
    np.testing.assert_array_equal(sample.label, number[sample.row])
    np.testing.assert_array_equal(read_features([sample.feature])[:, 0], number[sample.row])
    np.testing.assert_array_equal(sample.superpoint, number[sample.row])
    np.testing.assert_array_equal(sample.probability[:, 0], number[sample.row])


def test_augmentation_reaches_the_network() -> None:
    scene = one_voxel_each(0)

    def extent(augmentation: Augmentation, seed: int) -> np.ndarray:
        return np.ptp(make_sample(scene, augmentation, np.random.default_rng(seed)).coords, axis=0)

    still = extent(STILL, 0)
    np.testing.assert_array_equal(still, np.rint(np.ptp(scene.xyz, axis=0) / VOXEL_SIZE))
    turned = [extent(Augmentation(tilt=0, scale=0, flip=False), seed) for seed in range(6)]
    assert all(found[2] == still[2] for found in turned)  # about the vertical only
    assert len({tuple(found) for found in turned}) > 3
    grown = extent(Augmentation(rotation=False, tilt=0, flip=False, scale=0.5), 1)
    assert (grown != still).any()
    tilted = extent(Augmentation(rotation=False, tilt=20, flip=False, scale=0), 1)
    assert tilted[2] != still[2]
    bent = Augmentation(rotation=False, tilt=0, flip=False, scale=0, elastic=True)
    assert (extent(bent, 1) != still).any()


@given(seed=st.integers(0, 2**31))
@settings(max_examples=25)
def test_a_turn_keeps_distances_and_a_scale_scales_them(seed: int) -> None:
    xyz = np.random.default_rng(seed).uniform(-3, 3, (20, 3)).astype(np.float32)
    augmentation, rng = Augmentation(scale=0.2), np.random.default_rng(seed)
    moved = augmentation.positions(xyz, augmentation.transform(rng), rng)
    before = np.linalg.norm(xyz - xyz[:1], axis=1)[1:]
    after = np.linalg.norm(moved - moved[:1], axis=1)[1:]
    ratio = after / before
    assert ratio.std() < 1e-4
    assert 0.8 <= ratio.mean() <= 1.2


def test_elastic_pushes_neighbours_alike_and_far_points_differently() -> None:
    xyz = np.random.default_rng(0).uniform(0, 6, (4000, 3)).astype(np.float32)
    pair = xyz + np.float32(0.01)
    push = elastic(np.concatenate([xyz, pair]), 0.8, 1.6, np.random.default_rng(1))
    push -= np.concatenate([xyz, pair])
    apart = np.linalg.norm(push[:4000] - push[4000:], axis=1)
    assert apart.max() < 0.05
    assert push.std() > 0.1


def test_colours_change_and_stay_in_range() -> None:
    rgb = np.linspace(-1, 1, 300, dtype=np.float32).reshape(-1, 3)
    moved = Augmentation(color=0.3).colors(rgb, np.random.default_rng(0))
    assert np.abs(moved).max() <= 1
    assert 0.01 < np.abs(moved - rgb).mean() < 0.5
    np.testing.assert_array_equal(STILL.colors(rgb, np.random.default_rng(0)), rgb)


@given(
    st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=60),
    st.floats(0.01, 2.0),
)
def test_voxelise_is_the_obvious_grouping(cells: list[tuple[int, ...]], size: float) -> None:
    xyz = ((np.array(cells) + 0.5) * size).astype(np.float32)
    coords, voxel_of = voxelise(xyz, size)
    assert [tuple(c) for c in coords] == sorted(set(cells))
    np.testing.assert_array_equal(coords[voxel_of], cells)


def test_voxels_that_merge_average_colours_and_keep_one_embedding() -> None:
    scene = Scene(
        xyz=np.array([[0, 0, 0], [0.001, 0, 0], [1, 1, 1]], np.float32),
        rgb=np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0]], np.uint8),
        normal=np.array([[0, 0, 1], [0, 1, 0], [0, 0, 0]], np.float32),
        height=np.array([0, 0, 1], np.float32),
        voxel_size=10.0,
        voxel=np.array([1, 2]),
        feature=Features.of(np.array([[5.0], [7.0]], np.float16)),
        label=np.array([4, 2]),
        superpoint=np.array([0, 3, 1], np.int32),
        probability=np.zeros((2, 0), np.float16),
        present=np.ones(5, bool),
    )
    sample = make_sample(scene, STILL, np.random.default_rng(3))
    assert len(sample.coords) == 1
    np.testing.assert_allclose(sample.inputs, [[1 / 3, -1 / 3, -1 / 3]], atol=1e-6)
    assert read_features([sample.feature]).tolist() == [[5.0]]
    assert sample.label.tolist() == [4]


def test_a_crop_is_a_neighbourhood_with_its_supervision() -> None:
    scene = one_voxel_each(0)
    part = crop(scene, 30, np.random.default_rng(0))
    assert len(part.xyz) == len(part.rgb) == 30
    np.testing.assert_array_equal(part.rgb[part.voxel, 0], part.label)
    assert 0 < len(part.label) < len(scene.label)
    assert np.ptp(part.xyz, axis=0).max() < np.ptp(scene.xyz, axis=0).max()
    assert crop(scene, 10_000, np.random.default_rng(0)) is scene


def test_pseudo_labels_are_counted(rooms: list[Room]) -> None:
    found = np.concatenate([room.weak.read().label for room in rooms])
    np.testing.assert_array_equal(
        count_labels([room.weak for room in rooms], 6), [(found == k).sum() for k in range(6)]
    )


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 5)), min_size=1, max_size=80))
def test_the_majority_label_is_the_most_frequent_one(points: list[tuple[int, int]]) -> None:
    label, voxel = (np.array(part, np.int64) for part in zip(*points, strict=True))
    expected = []
    for number in range(6):
        known = [k for k, v in points if v == number and k >= 0]
        expected.append(min(known, key=lambda k: (-known.count(k), k)) if known else -1)
    assert majority(label, voxel, 6).tolist() == expected


def test_entries_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    room = write_rooms(tmp_path, [5])[0]
    room.path("pseudo_labels").unlink()
    with groups.create(room.path("pseudo_labels")) as out:
        arrays.write(out, "label", np.zeros(3, np.int16))
    with pytest.raises(BadInput, match="3 pseudo-labels for"):
        room.weak.read()
