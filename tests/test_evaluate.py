"""Scores are counted as the protocols say, on points, and told as they were found."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.reports.report import csv_rows, text_report, write_report
from model.scoring.metrics import PROTOCOLS, confusion, score
from model.scoring.score import OVER, count, score_fused, score_pseudo_labels, summarise
from pipeline.errors import BadInput
from pipeline.store import arrays, groups
from tests.helpers.tiny_entries import CLASSES, Room, write_labels, write_rooms, write_text

K = 4
NAMES = ["wall", "chair", "floor", "bed"]
POINTS = st.lists(st.tuples(st.integers(-1, K - 1), st.integers(-1, K + 1)), max_size=60)


def unzip(points: list[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    table = np.array(points, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


@given(POINTS)
def test_confusion_counts_one_point_at_a_time(points: list[tuple[int, int]]) -> None:
    expected = [[0] * (K + 1) for _ in range(K)]
    for truth, guess in points:
        if truth >= 0:
            expected[truth][guess if 0 <= guess < K else K] += 1
    assert confusion(*unzip(points), K).tolist() == expected


def slow_scores(points: list[tuple[int, int]], protocol: str) -> tuple[float, float, float]:
    """mIoU, mAcc and OA from the points themselves, in the words of the protocols."""
    points = [p for p in points if p[0] >= 0]
    ious, accuracies = [], []
    for k in range(K):
        hit = sum(p == (k, k) for p in points)
        falsely = sum(p[1] == k and p[0] != k for p in points)
        missed = sum(p[0] == k and p[1] != k for p in points)
        unknown = sum(p[0] == k and not 0 <= p[1] < K for p in points)
        occurs = hit + missed
        if protocol == "openscene":
            union = hit + falsely + missed - unknown
            ious.append(hit / union if occurs and union else 0.0)
            accuracies.append(hit / occurs if occurs else 0.0)
        elif protocol == "s3dis":
            ious.append(hit / (hit + falsely + missed) if hit + falsely + missed else 0.0)
            accuracies.append(hit / occurs if occurs else 0.0)
        elif protocol == "scannet_official" or NAMES[k] not in ("wall", "floor"):
            ious += [hit / (hit + falsely + missed)] if hit + falsely + missed else []
            accuracies += [hit / occurs] if occurs else []
    if protocol == "foreground":
        points = [p for p in points if NAMES[p[0]] not in ("wall", "floor")]

    def mean(values: list[float]) -> float:
        return sum(values) / len(values) if values else math.nan

    return mean(ious), mean(accuracies), mean([float(p[0] == p[1]) for p in points])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(points=POINTS)
def test_scores_are_those_of_a_slow_count(protocol: str, points: list[tuple[int, int]]) -> None:
    found = score(confusion(*unzip(points), K), NAMES, protocol)
    means = (found.mean_iou, found.mean_accuracy, found.overall_accuracy)
    np.testing.assert_allclose(means, slow_scores(points, protocol))


@given(st.lists(st.tuples(*[st.integers(0, K - 1)] * 2), min_size=1, max_size=60))
def test_protocols_agree_where_all_classes_occur_and_all_points_are_seen(
    points: list[tuple[int, int]],
) -> None:
    counts = confusion(*unzip(points + [(k, k) for k in range(K)]), K)
    official, openscene = (score(counts, NAMES, p) for p in ("scannet_official", "openscene"))
    assert official.mean_iou == pytest.approx(openscene.mean_iou)
    assert official.mean_accuracy == pytest.approx(openscene.mean_accuracy)


def test_a_miss_costs_officially_what_openscene_forgives() -> None:
    counts = confusion(np.array([0, 0, 1, 2, 3]), np.array([0, -1, 1, 2, 3]), K)
    assert score(counts, NAMES, "scannet_official").iou.tolist() == [0.5, 1, 1, 1]
    assert score(counts, NAMES, "openscene").iou.tolist() == [1, 1, 1, 1]
    assert score(counts, NAMES, "openscene").overall_accuracy == 0.8


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="predictions for"):
        confusion(np.zeros(3, int), np.zeros(2, int), K)
    with pytest.raises(ValueError, match="none of 4"):
        confusion(np.array([4]), np.array([0]), K)
    with pytest.raises(ValueError, match="'best' is none of"):
        score(np.zeros((K, K + 1), int), NAMES, "best")


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> list[Room]:
    return write_rooms(tmp_path_factory.mktemp("rooms"), range(3))


def test_labels_are_scored_on_points_and_unseen_points_have_none(rooms: list[Room]) -> None:
    scans, targets = [r.labelled for r in rooms], [r.path("targets") for r in rooms]
    pseudo = [r.path("pseudo_labels") for r in rooms]
    result = score_pseudo_labels(scans, targets, pseudo, "training", filtered=True)
    for room, (scan, counts) in zip(rooms, result["scans"].items(), strict=True):
        truth, voxel_of_point = room.labelled.ground_truth()
        scene = room.weak.read()
        label_of = dict(zip(scene.voxel.tolist(), scene.label.tolist(), strict=True))
        expected = [label_of.get(voxel, -1) for voxel in voxel_of_point.tolist()]
        assert scan == room.scan
        assert counts[0] == confusion(truth, np.array(expected), len(CLASSES)).tolist()
        assert sum(row[-1] for row in counts[0]) > 0.1 * len(truth)
    assert result["total"] == np.sum(list(result["scans"].values()), axis=0).tolist()


def test_a_voxel_counts_once_and_is_what_most_of_its_labelled_points_are(
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


def test_the_fused_score_is_that_of_unfiltered_labels(rooms: list[Room], tmp_path: Path) -> None:
    scans, targets = [r.labelled for r in rooms], [r.path("targets") for r in rooms]
    pseudo = [r.path("pseudo_labels") for r in rooms]
    fused = score_fused(scans, targets, write_text(tmp_path), "held-out")
    unfiltered = score_pseudo_labels(scans, targets, pseudo, "training", filtered=False)
    filtered = score_pseudo_labels(scans, targets, pseudo, "training", filtered=True)
    difference = np.abs(np.array(fused["total"]) - np.array(unfiltered["total"])).sum()
    assert difference < 0.01 * np.sum(fused["total"])  # fp16 features decide a few ties otherwise
    mean = [r["scores"]["points"]["scannet_official"]["mIoU"] for r in (unfiltered, filtered)]
    assert mean[1] > mean[0] + 0.1


def test_labels_of_other_points_are_told(tmp_path: Path) -> None:
    room = write_rooms(tmp_path, [1])[0]
    room.path("labels").unlink()
    with groups.create(room.path("labels"), {"classes": CLASSES}) as out:
        arrays.write(out, "label", np.zeros(5, np.int16))
    with pytest.raises(BadInput, match="5 labels for"):
        room.labelled.ground_truth()


def result(row: str, hits: int, seed: int | None = None, split: str = "held-out") -> dict:
    """A made-up result: of ten points of each class but bed, `hits` are right, the rest unseen."""
    counts = np.zeros((K, K + 1), np.int64)
    for k in range(3):
        counts[k, k], counts[k, K] = hits, 10 - hits
    both = np.stack([counts, counts // 2])
    made = summarise(row, split, NAMES, {"a": both, "b": both})
    return made | ({} if seed is None else {"seed": seed, "selection": "last step"})


RESULTS = [
    result("ess_esgs", 6, seed=1),
    result("ess_esgs", 8, seed=0),
    result("fused", 5),
    result("pseudo_labels", 9, split="training"),
]


def test_the_table_says_what_was_measured_on_what() -> None:
    text = text_report(RESULTS, "Demo", simulated=True)
    rows = [line.split() for line in text.splitlines()]
    assert next(row[:7] for row in rows if row[:2] == ["(a)", "fused"]) == [
        "(a)",
        "fused",
        "2D",
        "held-out",
        "50.0",
        "50.0",
        "50.0",
    ]
    assert any(row[:6] == ["(d)", "ESS+ESGS", "held-out", "70.0", "±", "14.1"] for row in rows)
    assert any(row[:2] == ["bed", "-"] for row in rows)  # a class that does not occur has no IoU
    assert "Simulated rooms" in text
    assert "Scored on 2 training scans: (b) filtered." in text
    assert "IoU by class, over points, protocol scannet_official" in text
    rest = text.partition("All protocols")[2].splitlines()
    named = [line.split()[3:5] for line in rest if "(d)" in line]
    assert named == [[over, protocol] for over in OVER for protocol in PROTOCOLS]
    assert "2 seeds" in text
    assert "Simulated" not in text_report(RESULTS, "ScanNet")


def test_every_number_of_the_csv_can_be_read_back() -> None:
    head, *rows = csv_rows(RESULTS)
    table = [dict(zip(head, row, strict=True)) for row in rows]
    assert len(table) == 3 * 2 * len(PROTOCOLS) * (3 + K)
    found = [r for r in table if r["row"] == "ess_esgs" and r["metric"] == "OA"]
    told = {(r["protocol"], float(r["mean"]), r["seeds"]) for r in found if r["over"] == "points"}
    assert told == {(protocol, 70.0, "2") for protocol in PROTOCOLS}
    assert {(r["over"], r["protocol"]) for r in table} == {(o, p) for o in OVER for p in PROTOCOLS}


def test_the_report_is_written_as_text_json_and_csv(tmp_path: Path) -> None:
    text = write_report(RESULTS, tmp_path / "results" / "demo", "Demo", simulated=True)
    folder = tmp_path / "results"
    assert (folder / "demo.txt").read_text() == text
    assert json.loads((folder / "demo.json").read_text())["results"] == RESULTS
    with (folder / "demo.csv").open(newline="") as file:
        assert list(csv.reader(file)) == csv_rows(RESULTS)


def test_there_is_no_report_of_nothing() -> None:
    with pytest.raises(ValueError, match="no result"):
        text_report([], "Demo")
