"""Labels are counted over points and over voxels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.data.entries import read_array, read_entry
from model.network import files
from model.reports.lines import scores
from model.scoring.counting import (
    confusion,
    count,
    count_fused,
    count_pseudo_labels,
    count_refined_labels,
)
from model.stages.evaluate import EvaluateStage
from pipeline.errors import BadInput
from pipeline.store import arrays, groups
from tests.helpers import tiny_store
from tests.helpers.tiny_entries import (
    CLASSES,
    Room,
    text_embeddings,
    without_superpoints,
    write_labels,
    write_rooms,
    write_text,
)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> list[Room]:
    return write_rooms(tmp_path_factory.mktemp("rooms"), range(3))


def test_labels_are_counted_over_points_and_unseen_points_have_no_prediction(
    rooms: list[Room],
) -> None:
    scans, targets = [r.labelled for r in rooms], [r.path("targets") for r in rooms]
    pseudo = [r.path("pseudo_labels") for r in rooms]
    result = count_pseudo_labels(scans, targets, pseudo, "training", filtered=True)
    for room, (scan, counts) in zip(rooms, result["scans"].items(), strict=True):
        truth, voxel_of_point = room.labelled.ground_truth()
        scene = room.weak.read()
        label_of = dict(zip(scene.voxel.tolist(), scene.label.tolist(), strict=True))
        expected = [label_of.get(voxel, -1) for voxel in voxel_of_point.tolist()]
        assert scan == room.scan
        assert counts[0] == confusion(truth, np.array(expected), len(CLASSES)).tolist()
        assert sum(row[-1] for row in counts[0]) > 0.1 * len(truth)
    assert set(result) == {"row", "split", "needs", "classes", "over", "scans", "total"}
    assert result["total"] == np.sum(list(result["scans"].values()), axis=0).tolist()


def test_refined_labels_are_counted_where_there_is_one(rooms: list[Room], tmp_path: Path) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for room in rooms:
        label = room.weak.labels().label.astype(np.int16)
        label[::3] = -1
        tensors[f"{room.scan}.label"] = torch.from_numpy(label)
        tensors[f"{room.scan}.probability"] = torch.zeros(len(label), 0)
    files.write(tmp_path / "labels.safetensors", tensors, {})
    scans, targets = [r.labelled for r in rooms], [r.path("targets") for r in rooms]
    result = count_refined_labels(scans, targets, tmp_path / "labels.safetensors", "training")
    for room, counts in zip(rooms, np.array(list(result["scans"].values())), strict=True):
        truth, voxel_of_point = room.labelled.ground_truth()
        of_voxel = np.full(voxel_of_point.max() + 1, -1)
        of_voxel[room.weak.read().voxel] = tensors[f"{room.scan}.label"]
        labelled = of_voxel[voxel_of_point] >= 0
        assert 0.3 < labelled.mean() < 0.7
        assert counts[0].sum() == labelled.sum()
        assert np.trace(counts[0]) == (of_voxel[voxel_of_point] == truth)[labelled].sum()


def test_a_voxel_is_counted_once_as_the_majority_of_its_labelled_points(
    tmp_path: Path,
) -> None:
    room, rng = write_rooms(tmp_path, [0])[0], np.random.default_rng(0)
    voxel_of_point = room.labelled.ground_truth()[1]
    truth = rng.integers(-1, len(CLASSES), len(voxel_of_point))
    write_labels(room, truth)
    label = rng.integers(-1, len(CLASSES), voxel_of_point.max() + 1)
    points, voxels = count(room.labelled, label, len(CLASSES))
    assert points.tolist() == confusion(truth, label[voxel_of_point], len(CLASSES)).tolist()
    expected = np.zeros_like(voxels)
    for voxel, guess in enumerate(label.tolist()):
        inside = [t for t in truth[voxel_of_point == voxel].tolist() if t >= 0]
        if inside:
            most = min(set(inside), key=lambda t: (-inside.count(t), t))
            expected[most, guess if guess >= 0 else len(CLASSES)] += 1
    assert voxels.tolist() == expected.tolist()


def test_fused_embeddings_score_like_unfiltered_pseudo_labels(
    rooms: list[Room], tmp_path: Path
) -> None:
    scans, targets = [r.labelled for r in rooms], [r.path("targets") for r in rooms]
    pseudo = [r.path("pseudo_labels") for r in rooms]
    fused = count_fused(scans, targets, write_text(tmp_path), "held-out")[0]
    unfiltered = count_pseudo_labels(scans, targets, pseudo, "training", filtered=False)
    filtered = count_pseudo_labels(scans, targets, pseudo, "training", filtered=True)
    difference = np.abs(np.array(fused["total"]) - np.array(unfiltered["total"])).sum()
    assert difference < 0.01 * np.sum(fused["total"])  # fp16 features decide a few ties otherwise
    mean = [scores(r)["points"]["scannet_official"]["mIoU"] for r in (unfiltered, filtered)]
    assert mean[1] > mean[0] + 0.1


def test_voted_fused_embeddings_are_the_mean_probabilities_of_seen_voxels(
    rooms: list[Room], tmp_path: Path
) -> None:
    scans, targets = [r.labelled for r in rooms], [r.path("targets") for r in rooms]
    _, voted = count_fused(scans, targets, write_text(tmp_path), "val", {"images"})
    assert (voted["row"], voted["needs"]) == ("fused_voted", ["images", "superpoints"])
    for room in rooms:
        target, superpoint = read_entry(room.path("targets")), room.labelled.superpoints()
        seen = read_array(target, "voxel")
        feature = read_array(target, "feature").astype(np.float64)
        cosine = feature @ text_embeddings().T / np.linalg.norm(feature, axis=1)[:, None]
        probability = np.exp(cosine / 0.05)
        probability /= probability.sum(axis=1, keepdims=True)
        label = np.full(len(superpoint), -1)
        for row, voxel in enumerate(seen):
            same = superpoint[seen] == superpoint[voxel]
            mean = probability[same].mean(axis=0) if superpoint[voxel] >= 0 else probability[row]
            label[voxel] = mean.argmax()
        counts = count(room.labelled, label, len(CLASSES))
        assert voted["scans"][room.scan] == counts.tolist()


def test_scans_without_superpoints_have_no_voted_row(tmp_path: Path) -> None:
    room = write_rooms(tmp_path, [0])[0]
    replaced = without_superpoints(room)
    results = count_fused([replaced], [room.path("targets")], write_text(tmp_path), "val")
    assert [r["row"] for r in results] == ["fused"]


def test_only_networks_that_predict_embeddings_are_scored_with_images(tmp_path: Path) -> None:
    facts = tiny_store.plan(tmp_path).facts
    section = {**facts.section, "train": {"variants": ["esgs", "supervised"], "seeds": [0]}}
    known = replace(facts, section=section)
    stage = EvaluateStage()
    weak, dense = (stage.sources(known, name) for name in ("esgs-0", "supervised-0"))
    assert {stage for stage, _ in weak} == {"train", "text", "targets", "voxels", "labels"}
    assert {stage for stage, _ in dense} == {"supervised", "voxels", "labels"}
    assert {name for stage, name in weak if stage == "labels"} == set(known.splits["val"])


def test_refined_labels_are_scored_on_the_training_scans_for_each_seed(tmp_path: Path) -> None:
    facts = tiny_store.plan(tmp_path).facts
    train = {"variants": ["ess_esgs"], "seeds": [0, 4], "labels": {"source": "adapter"}}
    known = replace(facts, section={**facts.section, "train": train})
    names = ["refined_labels-0", "refined_labels-4"]
    assert known.scores == ["fused", "pseudo_labels", *names, "ess_esgs-0", "ess_esgs-4"]
    found = EvaluateStage().sources(known, "refined_labels-4")
    assert ("refined_labels", "ess_esgs-4") in found
    assert {name for stage, name in found if stage == "labels"} == set(known.splits["train"])
    of_text = {**train, "labels": {"source": "text"}}
    plain = replace(facts, section={**facts.section, "train": of_text})
    assert plain.scores == ["fused", "pseudo_labels", "ess_esgs-0", "ess_esgs-4"]


def test_labels_of_other_points_are_refused(tmp_path: Path) -> None:
    room = write_rooms(tmp_path, [1])[0]
    room.path("labels").unlink()
    with groups.create(room.path("labels"), {"classes": CLASSES}) as out:
        arrays.write(out, "label", np.zeros(5, np.int16))
    with pytest.raises(BadInput, match="5 labels for"):
        room.labelled.ground_truth()
