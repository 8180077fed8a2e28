"""What a voxel gives the network: colour, height, normal and a constant, in voxels of any size."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from plyfile import PlyData

from model.data.augment import Augmentation
from model.data.entries import Scene, read_array, read_entry
from model.data.features import Features
from model.data.inputs import VoxelValues, height_above_floor
from model.data.samples import crop, make_sample
from model.inference.label_scan import label_scan
from model.inference.predict import predict, query
from model.inference.unseen import voxelised
from model.network import files
from model.network.inputs import CHANNELS, in_channels
from model.network.trained import LAST_STEP, ClassifierHead, Trained, build_network, load
from model.scoring.evaluate import evaluate_network
from model.scoring.transfer import predict_resized
from model.training.loop import Run, fit
from model.training.ranks import Mean
from pipeline.geometry.superpoints import normals_and_superpoints
from pipeline.scan import Cloud
from pipeline.stages.voxels import unit_or_zero
from tests.helpers.tiny_entries import (
    CLASSES,
    SMALL_NETWORK,
    VOXEL_SIZE,
    WIDTH,
    Room,
    text_embeddings,
    tiny_params,
    train_with,
    write_rooms,
    write_text,
)
from tests.helpers.tiny_ply import points, write_ply

CPU = torch.device("cpu")
ALL = list(CHANNELS)
SUBSETS = [list(names) for size in range(1, 5) for names in combinations(ALL, size)]
# On a GPU sums have no fixed order, so bits cannot be compared there.
exact = pytest.mark.skipif(torch.cuda.is_available(), reason="exact on a CPU only")


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> list[Room]:
    return write_rooms(tmp_path_factory.mktemp("rooms"), range(2))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text"))


def untrained(
    inputs: Sequence[str], voxel_size: float = VOXEL_SIZE, entry_voxel_size: float | None = None
) -> Trained:
    return Trained(
        variant="esgs",
        seed=0,
        network=build_network(WIDTH, SMALL_NETWORK, 0, inputs).eval(),
        text_embeddings=torch.from_numpy(text_embeddings()),
        classes=CLASSES,
        head=ClassifierHead(normalise=True, temperature=0.05),
        config={"network": SMALL_NETWORK, "inputs": list(inputs)},
        voxel_size=voxel_size,
        entry_voxel_size=entry_voxel_size,
        selection=LAST_STEP,
    )


def cloud(**changes: Any) -> Cloud:
    """Points of random colours and normals in a box."""
    rng = np.random.default_rng(0)
    xyz = rng.uniform(0, [3, 2, 2], (2000, 3)).astype(np.float32)
    given: dict[str, Any] = {
        "xyz": xyz,
        "rgb": rng.integers(0, 256, xyz.shape).astype(np.uint8),
        "normal": unit_or_zero(rng.normal(size=xyz.shape)).astype(np.float32),
        "segment": np.full(len(xyz), -1, np.int32),
    }
    return Cloud(**{**given, **changes})


@given(seed=st.integers(0, 2**31), shift=st.tuples(*[st.floats(-100, 100)] * 3))
def test_heights_do_not_change_when_a_scan_is_moved(seed: int, shift: tuple[float, ...]) -> None:
    xyz = np.random.default_rng(seed).uniform(0, 3, (50, 3)).astype(np.float32)
    moved = (xyz + np.array(shift)).astype(np.float32)
    np.testing.assert_allclose(height_above_floor(moved), height_above_floor(xyz), atol=1e-4)


def test_the_floor_is_below_nearly_all_voxels_whatever_lies_below_it() -> None:
    z = np.concatenate([np.full(500, 0.5), np.linspace(0.5, 3, 500), np.full(5, -20)])
    height = height_above_floor(np.column_stack([z, z, z]))
    np.testing.assert_allclose(height, z - 0.5, atol=1e-6)
    assert height_above_floor(np.full((1, 3), 7.0)).tolist() == [0]


@pytest.mark.parametrize("names", SUBSETS)
def test_any_inputs_are_stacked_in_one_order(names: list[str]) -> None:
    rng = np.random.default_rng(0)
    values = VoxelValues(rng.random((5, 3)), rng.random(5), rng.random((5, 3)))
    found = values.stack(names)
    assert (found.shape, found.dtype) == ((5, in_channels(names)), np.float32)
    np.testing.assert_array_equal(values.stack(names[::-1]), found)
    whole = values.stack(ALL)
    np.testing.assert_allclose(whole[:, 3], values.height - 1, rtol=1e-6)
    np.testing.assert_array_equal(whole[:, 7], 1)
    begin = dict(zip(ALL, np.cumsum([0, *CHANNELS.values()]), strict=False))
    columns = [range(begin[n], begin[n] + CHANNELS[n]) for n in ALL if n in names]
    np.testing.assert_array_equal(found, whole[:, np.concatenate(columns)])


@pytest.mark.parametrize("names", [[], ["depth"], ["color", "depth"]])
def test_unknown_inputs_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="not among the inputs"):
        in_channels(names)


def test_means_of_normals_have_unit_length_or_are_unknown() -> None:
    normal = [[0, 0, 1], [0, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 0]]
    values = VoxelValues(np.zeros((7, 3)), np.arange(7.0), np.array(normal, float))
    found = values.averaged(np.array([0, 0, 1, 1, 2, 2, 3]))
    half = np.sqrt(0.5)
    expected = [[0, half, half], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(found.normal, expected, atol=1e-12)
    np.testing.assert_allclose(found.height, [0.5, 2.5, 4.5, 6])


def far_apart(seed: int) -> tuple[Scene, NDArray[np.int64]]:
    """Voxels whose normals point to others of the scan, more than 1 m away, and these others.

    The colour of each is its number.
    """
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(0, 4, (100, 3)).astype(np.float32)
    other = np.array([rng.choice(np.flatnonzero(np.linalg.norm(xyz - p, axis=1) > 1)) for p in xyz])
    scene = Scene(
        xyz=xyz,
        rgb=np.repeat(np.arange(len(xyz), dtype=np.uint8)[:, None], 3, 1),
        normal=unit_or_zero(xyz[other].astype(float) - xyz).astype(np.float32),
        height=height_above_floor(xyz),
        voxel_size=10.0,
        voxel=np.arange(len(xyz)),
        feature=Features.none(len(xyz)),
        label=np.arange(len(xyz)),
        superpoint=np.arange(len(xyz), dtype=np.int32),
        probability=np.zeros((len(xyz), 0), np.float16),
        present=np.ones(1, bool),
    )
    return scene, other


@given(seed=st.integers(0, 2**31), flip=st.booleans(), tilt=st.floats(0, 30))
@settings(max_examples=25)
def test_normals_turn_and_heights_grow_with_the_scan(seed: int, flip: bool, tilt: float) -> None:
    scene, other = far_apart(seed)
    augmentation = Augmentation(color=0, flip=flip, tilt=tilt, scale=0.3)
    sample = make_sample(scene, augmentation, np.random.default_rng(seed), ALL, voxel_size=0.002)
    assert len(sample.coords) == len(scene.xyz), "two fall into one voxel of 2 mm"
    place = np.argsort(np.round((sample.inputs[:, 0] + 1) * 127.5))
    moved, inputs = sample.coords[place] * 0.002, sample.inputs[place]
    direction = moved[other] - moved
    length = np.linalg.norm(direction, axis=1)
    cosine = (inputs[:, 4:7] * direction).sum(axis=1) / length
    assert cosine.min() > 0.9999
    scale = np.median(length / np.linalg.norm(scene.xyz[other] - scene.xyz, axis=1))
    assert 0.69 < scale < 1.31
    np.testing.assert_allclose(inputs[:, 3] + 1, scene.height * scale, atol=0.02)


def test_a_crop_keeps_the_floor_of_its_scan() -> None:
    scene, _ = far_apart(0)
    part = crop(scene, 20, np.random.default_rng(0))
    np.testing.assert_array_equal(part.height, scene.height[part.label])
    np.testing.assert_array_equal(part.normal, scene.normal[part.label])


@given(size=st.floats(0.02, 2.5))
@settings(max_examples=12, deadline=None)
def test_every_voxel_and_point_is_labelled_whatever_the_networks_voxel_size(size: float) -> None:
    voxels = voxelised(cloud(), VOXEL_SIZE)
    trained = untrained(ALL, size)
    found = predict(trained, voxels)
    xyz = read_array(voxels, "voxel_xyz")
    assert found.probability.shape == (len(xyz), len(CLASSES))
    np.testing.assert_allclose(found.probability.sum(axis=1), 1, rtol=1e-5)
    assert len(found.label_of_points(voxels)) == 2000
    cell = np.floor(xyz / np.float64(size))
    _, first, of = np.unique(cell, axis=0, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(found.probability, found.probability[first][of])
    heat = query(trained, voxels, text_embeddings())
    np.testing.assert_array_equal(heat, heat[first][of])


def test_voxels_of_the_networks_size_are_given_as_they_are() -> None:
    voxels, trained = voxelised(cloud(), VOXEL_SIZE), untrained(["color"])
    rgb = torch.from_numpy(read_array(voxels, "voxel_rgb").astype(np.float32) / 127.5 - 1)
    coords = read_array(voxels, "coords")
    indices = torch.from_numpy(np.column_stack([np.zeros(len(coords), np.int32), coords]))
    with torch.no_grad():
        output = torch.nn.functional.normalize(trained.network(rgb, indices), dim=1)
    expected = torch.softmax(output @ trained.text_embeddings.T / 0.05, dim=1)
    np.testing.assert_allclose(predict(trained, voxels).probability, expected, atol=1e-5)


@exact
def test_a_cloud_has_the_labels_of_its_entries_whatever_voxels_it_comes_in() -> None:
    trained = untrained(ALL, voxel_size=0.25, entry_voxel_size=VOXEL_SIZE)
    entry, finer = voxelised(cloud(), VOXEL_SIZE), voxelised(cloud(), 0.03)
    expected = predict(trained, entry).label_of_points(entry)
    found, voxels = predict_resized(trained, finer)
    np.testing.assert_array_equal(found.label_of_points(voxels), expected)


@pytest.mark.parametrize("name", ALL)
def test_a_network_sees_its_inputs_and_nothing_else(name: str) -> None:
    changed: dict[str, dict[str, Any]] = {
        "color": {"rgb": np.zeros((2000, 3), np.uint8)},
        "normal": {"normal": np.zeros((2000, 3), np.float32)},
    }
    trained, whole = untrained([name]), voxelised(cloud(), VOXEL_SIZE)
    before = predict(trained, whole).probability
    for what, change in changed.items():
        after = predict(trained, voxelised(cloud(**change), VOXEL_SIZE)).probability
        assert (np.abs(after - before).max() > 1e-3) == (what == name)


def all_settings(steps: int) -> dict[str, Any]:
    """Every setting of this module's subject, away from its default."""
    settings = tiny_params(steps)
    return settings | {
        "inputs": ALL,
        "voxel_size": 0.15,
        "network": {**SMALL_NETWORK, "head": [24, 16]},
        "optimiser": {**settings["optimiser"], "warm_up": 0.2, "clip": 1.0},
    }


@pytest.mark.parametrize("variant", ["ess_esgs", "supervised"])
def test_a_network_with_all_inputs_labels_clouds_that_lack_them(
    variant: str, rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    path = train_with(all_settings(30), variant, rooms, text, tmp_path / variant)
    trained = load(path, CPU)
    assert trained.inputs == tuple(ALL)
    assert (trained.voxel_size, trained.scan_voxel_size) == (0.15, VOXEL_SIZE)
    assert trained.config["optimiser"]["clip"] == 1.0
    total = np.array(evaluate_network(path, [rooms[0].labelled], "train")[0]["total"][0])
    assert np.trace(total) > 0.6 * total.sum(), "it has not learnt its own room"
    xyz = points()
    for name, few in (("room", xyz), ("point", xyz[:1])):
        scan = write_ply(tmp_path / f"{name}.ply", few, colors=False)
        with pytest.warns(UserWarning, match="all points become grey"):
            label_scan(scan, path, tmp_path / name, None)
        vertex = PlyData.read(str(tmp_path / name / "labels.ply"))["vertex"]
        assert len(vertex["label"]) == len(few)
        xyz32, grey = few.astype(np.float32), np.full(few.shape, 128, np.uint8)
        normal, _ = normals_and_superpoints(xyz32, grey)
        assert normal.any() == (name == "room"), "a single point has no surface"
        whole = Cloud(xyz32, grey, normal, np.full(len(few), -1, np.int32))
        entry = voxelised(whole, VOXEL_SIZE)  # as the training entries are, not as the network is
        expected = predict(trained, entry).label_of_points(entry)
        np.testing.assert_array_equal(vertex["label"], expected)


@exact
@pytest.mark.parametrize("variant", ["ess_esgs", "supervised"])
def test_defaults_are_what_settings_without_these_keys_mean(
    variant: str, rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    old = tiny_params(3)
    new = old | {
        "inputs": ["color"],
        "voxel_size": None,
        "network": {**SMALL_NETWORK, "head": []},
        "optimiser": {**old["optimiser"], "warm_up": 0, "clip": None},
    }
    before, _ = files.read(train_with(old, variant, rooms, text, tmp_path / "old"))
    after, _ = files.read(train_with(new, variant, rooms, text, tmp_path / "new"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@exact
def test_training_takes_voxels_of_the_size_that_is_asked_for(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    weights = {}
    for size in (None, VOXEL_SIZE, 0.15):
        settings = tiny_params(2) | {"voxel_size": size}
        path = train_with(settings, "esgs", rooms, text, tmp_path / f"{size}")
        weights[size] = files.read(path)[0]["network.head.weight"]
        assert load(path, CPU).voxel_size == (size or VOXEL_SIZE)
    assert torch.equal(weights[None], weights[VOXEL_SIZE])
    assert not torch.equal(weights[None], weights[0.15])


def test_a_file_from_before_these_settings_is_read_as_it_was_meant(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    path = train_with(tiny_params(1), "esgs", rooms, text, tmp_path / "new")
    tensors, metadata = files.read(path)
    assert metadata.pop("entry_voxel_size")
    assert not {"inputs", "voxel_size"} & set(load(path, CPU).config)
    files.write(tmp_path / "old", tensors, metadata)
    old, new = load(tmp_path / "old", CPU), load(path, CPU)
    assert old.inputs == ("color",)
    assert old.voxel_size == old.scan_voxel_size == new.scan_voxel_size == VOXEL_SIZE
    voxels = read_entry(rooms[0].path("voxels"))
    expected = predict(new, voxels).probability
    np.testing.assert_array_equal(predict(old, voxels).probability, expected)


@pytest.mark.parametrize("clip", [None, 0.05])
def test_a_gradient_is_clipped_to_the_norm_that_is_asked_for(
    clip: float | None, rooms: list[Room], tmp_path: Path
) -> None:
    params = tiny_params(2)
    params["optimiser"] |= {"clip": clip}
    network = build_network(len(CLASSES), SMALL_NETWORK, 0)
    scans = [room.labelled for room in rooms]
    run = Run("supervised", 0, params, scans, tmp_path, workers=0, checkpoint_every=9)
    cross_entropy = torch.nn.functional.cross_entropy
    fit(run, network, lambda out, batch: {"text": Mean(cross_entropy(out[:], batch.label), 1)})
    gradients = [p.grad.norm() for p in network.parameters() if p.grad is not None]
    norm = float(torch.stack(gradients).norm())
    assert norm > 0.1 if clip is None else norm == pytest.approx(clip, rel=1e-3)
