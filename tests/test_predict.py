"""A trained network classifies every point, repeatably, and answers queries by text embeddings."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file

from model.data.entries import read_array, read_entry
from model.inference.predict import Prediction, predict, query
from model.network import files
from model.network.trained import LAST_STEP, ClassifierHead, Trained, build_network, load
from model.scoring.counting import confusion, count
from model.scoring.evaluate import Images, evaluate_network
from pipeline.errors import BadInput
from tests.helpers.tiny_entries import (
    CLASSES,
    SMALL_NETWORK,
    VOXEL_SIZE,
    WIDTH,
    Room,
    text_embeddings,
    without_superpoints,
    write_labels,
    write_rooms,
    write_text,
)

CPU = torch.device("cpu")
TOWER = {"model": "ViT-B-16", "pretrained": "openai", "weights": None, "templates": ["a {}"]}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    return write_rooms(tmp_path_factory.mktemp("rooms"), [0])[0]


def network_file(folder: Path, temperature: float = 0.05) -> Path:
    """A network with its initial weights."""
    path = folder / "network.safetensors"
    Trained(
        variant="esgs",
        seed=3,
        network=build_network(WIDTH, SMALL_NETWORK, 3),
        text_embeddings=torch.from_numpy(text_embeddings()),
        classes=CLASSES,
        head=ClassifierHead(normalise=True, temperature=temperature),
        config={"network": SMALL_NETWORK},
        voxel_size=VOXEL_SIZE,
        tower=TOWER,
        selection=LAST_STEP,
        curves={"network": {"loss": [0.5, 0.25]}},
    ).save(path)
    return path


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    trained = load(network_file(tmp_path), CPU)
    fresh = build_network(WIDTH, SMALL_NETWORK, 3).state_dict()
    assert all(torch.equal(fresh[n], t) for n, t in trained.network.state_dict().items())
    assert (trained.variant, trained.seed, trained.classes) == ("esgs", 3, CLASSES)
    assert trained.curves["network"]["loss"] == [0.5, 0.25]
    assert (trained.voxel_size, trained.tower) == (VOXEL_SIZE, TOWER)
    np.testing.assert_array_equal(trained.text_embeddings.numpy(), text_embeddings())


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    files.write(tmp_path / "other", {"a": torch.zeros(3)}, {})
    with pytest.raises(BadInput, match="no network of this version"):
        load(tmp_path / "other", CPU)


def test_a_point_has_the_class_of_its_voxel_and_a_second_pass_agrees(
    room: Room, tmp_path: Path
) -> None:
    trained, voxels = load(network_file(tmp_path), CPU), read_entry(room.path("voxels"))
    first, second = predict(trained, voxels), predict(trained, voxels)
    np.testing.assert_array_equal(first.probability, second.probability)
    np.testing.assert_allclose(first.probability.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(first.label, first.probability.argmax(axis=1))
    np.testing.assert_array_equal(first.confidence, first.probability.max(axis=1))
    points = first.label_of_points(voxels)
    assert len(points) == len(read_array(voxels, "xyz"))
    number = read_array(voxels, "voxel_of_point")[17]
    assert points[17] == first.label[number]


def test_the_class_is_the_best_query(room: Room, tmp_path: Path) -> None:
    trained, voxels = load(network_file(tmp_path), CPU), read_entry(room.path("voxels"))
    scores, found = query(trained, voxels, text_embeddings()), predict(trained, voxels)
    assert scores.shape == (len(found.label), len(CLASSES))
    assert np.abs(scores).max() <= 1 + 1e-5
    clear = np.diff(np.sort(scores, axis=1)[:, -2:], axis=1)[:, 0] > 1e-5
    np.testing.assert_array_equal(scores.argmax(axis=1)[clear], found.label[clear])
    with pytest.raises(ValueError, match="does not predict embeddings like these"):
        query(trained, voxels, np.ones((1, WIDTH + 1), np.float32))


def test_a_network_is_scored_on_points(room: Room, tmp_path: Path) -> None:
    path = network_file(tmp_path)
    result = evaluate_network(path, [room.labelled], "held-out")[0]
    truth, voxel_of_point = room.labelled.ground_truth()
    label = predict(load(path, CPU), read_entry(room.path("voxels"))).label[voxel_of_point]
    assert result["total"][0] == confusion(truth, label, len(CLASSES)).tolist()
    assert (result["row"], result["seed"], result["split"]) == ("esgs", 3, "held-out")
    assert "last step" in result["selection"]


def test_one_pass_gives_plain_voted_and_combined_counts(room: Room, tmp_path: Path) -> None:
    path, scan = network_file(tmp_path), room.labelled
    images = Images([room.path("targets")], write_text(tmp_path), {"images"})
    results = evaluate_network(path, [scan], "val", images)
    assert {r["row"]: r["needs"] for r in results} == {
        "esgs": [],
        "esgs_voted": ["superpoints"],
        "esgs_2d": ["images"],
        "esgs_2d_voted": ["images", "superpoints"],
    }
    network = predict(load(path, CPU), read_entry(scan.voxels)).probability.astype(np.float64)
    target = read_entry(room.path("targets"))
    both = network.copy()
    for voxel, feature in zip(
        read_array(target, "voxel"), read_array(target, "feature").astype(float), strict=True
    ):
        fused = np.exp(text_embeddings() @ feature / np.linalg.norm(feature) / 0.05)
        product = (fused / fused.sum()) ** 0.7 * network[voxel] ** 0.3
        both[voxel] = product / product.sum()
    unseen = np.setdiff1d(np.arange(len(network)), read_array(target, "voxel"))
    assert len(unseen) > 100
    superpoint = scan.superpoints()
    for result, expected in zip(
        results,
        (network, averaged(network, superpoint), both, averaged(both, superpoint)),
        strict=True,
    ):
        counts = count(scan, expected.argmax(axis=1), len(CLASSES))
        assert result["total"] == counts.tolist(), result["row"]
        assert (result["seed"], result["selection"]) == (3, LAST_STEP)


def test_without_superpoints_there_are_no_voted_rows(room: Room, tmp_path: Path) -> None:
    images = Images([room.path("targets")], write_text(tmp_path))
    results = evaluate_network(network_file(tmp_path), [without_superpoints(room)], "val", images)
    assert [r["row"] for r in results] == ["esgs", "esgs_2d"]


def averaged(
    probability: NDArray[np.floating], superpoint: NDArray[np.integer]
) -> NDArray[np.floating]:
    """The mean of the rows of each superpoint, one row at a time."""
    return np.array(
        [
            probability[superpoint == name].mean(axis=0) if name >= 0 else own
            for own, name in zip(probability, superpoint, strict=True)
        ]
    )


@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_votes_in_superpoints_are_the_argmax_of_mean_probabilities(
    voxels: int, classes: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    # Sums of eighths are exact in any order.
    probability = (rng.integers(0, 9, (voxels, classes)) / 8).astype(np.float32)
    superpoint = rng.choice([-1, 0, 3, 7], voxels).astype(np.int32)
    found, expected = (
        Prediction.of(probability).voted(superpoint),
        averaged(probability, superpoint),
    )
    np.testing.assert_allclose(found.probability, expected, rtol=1e-6)
    best = np.take_along_axis(expected, found.label[:, None].astype(int), axis=1)[:, 0]
    np.testing.assert_allclose(best, expected.max(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(found.confidence, found.probability.max(axis=1))
    np.testing.assert_array_equal(found.probability[superpoint < 0], probability[superpoint < 0])


def test_labels_of_other_classes_are_refused(tmp_path: Path) -> None:
    path, other = network_file(tmp_path), write_rooms(tmp_path, [1])[0]
    write_labels(other, other.labelled.ground_truth()[0], classes=["a", "b"])
    with pytest.raises(BadInput, match="other classes"):
        evaluate_network(path, [other.labelled], "held-out")


def test_files_are_safetensors_and_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(5), "a": torch.randn(3, 2), "empty": torch.zeros(0, 4)}
    texts = {name: "x" * size for size, name in enumerate(["run", "config", "classes", "a"])}
    files.write(tmp_path / "one", tensors, texts)
    files.write(tmp_path / "two", dict(reversed(tensors.items())), dict(reversed(texts.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    back = load_file(tmp_path / "one")
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    assert files.read(tmp_path / "one")[1] == texts
    (tmp_path / "one").write_bytes((tmp_path / "one").read_bytes()[:60])
    with pytest.raises(BadInput, match="not a readable safetensors file"):
        files.read(tmp_path / "one")
