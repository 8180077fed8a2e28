"""Labels are counted over points and over voxels."""

from pathlib import Path

import numpy as np
import pytest

from model.reports.lines import scores
from model.scoring.counting import confusion, count, count_fused, count_pseudo_labels
from pipeline.errors import BadInput
from pipeline.store import arrays, groups
from tests.helpers.tiny_entries import CLASSES, Room, write_labels, write_rooms, write_text


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
    assert set(result) == {"row", "split", "classes", "over", "scans", "total"}
    assert result["total"] == np.sum(list(result["scans"].values()), axis=0).tolist()


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
    fused = count_fused(scans, targets, write_text(tmp_path), "held-out")
    unfiltered = count_pseudo_labels(scans, targets, pseudo, "training", filtered=False)
    filtered = count_pseudo_labels(scans, targets, pseudo, "training", filtered=True)
    difference = np.abs(np.array(fused["total"]) - np.array(unfiltered["total"])).sum()
    assert difference < 0.01 * np.sum(fused["total"])  # fp16 features decide a few ties otherwise
    mean = [scores(r)["points"]["scannet_official"]["mIoU"] for r in (unfiltered, filtered)]
    assert mean[1] > mean[0] + 0.1


def test_labels_of_other_points_are_refused(tmp_path: Path) -> None:
    room = write_rooms(tmp_path, [1])[0]
    room.path("labels").unlink()
    with groups.create(room.path("labels"), {"classes": CLASSES}) as out:
        arrays.write(out, "label", np.zeros(5, np.int16))
    with pytest.raises(BadInput, match="5 labels for"):
        room.labelled.ground_truth()
