"""A trained network classifies every point, repeatably, and answers queries by text embeddings."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model.data.entries import read_array, read_entry
from model.inference.predict import predict, query
from model.network import files
from model.network.trained import LAST_STEP, ClassifierHead, Trained, build_network, load
from model.scoring.counting import confusion
from model.scoring.evaluate import evaluate_network
from pipeline.errors import BadInput
from tests.helpers.tiny_entries import (
    CLASSES,
    SMALL_NETWORK,
    VOXEL_SIZE,
    WIDTH,
    Room,
    text_embeddings,
    write_labels,
    write_rooms,
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
    result = evaluate_network(path, [room.labelled], "held-out")
    truth, voxel_of_point = room.labelled.ground_truth()
    label = predict(load(path, CPU), read_entry(room.path("voxels"))).label[voxel_of_point]
    assert result["total"][0] == confusion(truth, label, len(CLASSES)).tolist()
    assert (result["row"], result["seed"], result["split"]) == ("esgs", 3, "held-out")
    assert "last step" in result["selection"]


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
