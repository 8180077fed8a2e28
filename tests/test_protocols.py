"""Scores are what each protocol defines, computed from counts of points."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.scoring import protocols
from model.scoring.counting import confusion
from pipeline.plan import provenance

ROOT = Path(__file__).parent.parent
K = 4
PROTOCOLS = protocols.names()
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
    """mIoU, mAcc and OA, counted point by point as the protocols define them."""
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
    found = protocols.score(protocol, confusion(*unzip(points), K), NAMES)
    means = (found.mean_iou, found.mean_accuracy, found.overall_accuracy)
    np.testing.assert_allclose(means, slow_scores(points, protocol))


@given(st.lists(st.tuples(*[st.integers(0, K - 1)] * 2), min_size=1, max_size=60))
def test_protocols_agree_where_all_classes_occur_and_all_points_are_seen(
    points: list[tuple[int, int]],
) -> None:
    counts = confusion(*unzip(points + [(k, k) for k in range(K)]), K)
    official, openscene = (
        protocols.score(p, counts, NAMES) for p in ("scannet_official", "openscene")
    )
    assert official.mean_iou == pytest.approx(openscene.mean_iou)
    assert official.mean_accuracy == pytest.approx(openscene.mean_accuracy)


def test_a_point_without_a_prediction_is_dropped_from_the_iou_of_openscene_only() -> None:
    counts = confusion(np.array([0, 0, 1, 2, 3]), np.array([0, -1, 1, 2, 3]), K)
    assert protocols.score("scannet_official", counts, NAMES).iou.tolist() == [0.5, 1, 1, 1]
    assert protocols.score("openscene", counts, NAMES).iou.tolist() == [1, 1, 1, 1]
    assert protocols.score("openscene", counts, NAMES).overall_accuracy == 0.8


def test_invalid_counts_and_unknown_protocols_are_refused() -> None:
    with pytest.raises(ValueError, match="predictions for"):
        confusion(np.zeros(3, int), np.zeros(2, int), K)
    with pytest.raises(ValueError, match="none of 4"):
        confusion(np.array([4]), np.array([0]), K)
    with pytest.raises(ValueError, match="'best' is none of"):
        protocols.score("best", np.zeros((K, K + 1), int), NAMES)


def test_protocols_keep_their_order_in_the_tables() -> None:
    assert protocols.names() == ("scannet_official", "openscene", "foreground", "s3dis")


def test_names_of_protocols_need_no_numpy() -> None:
    code = (
        "import sys; from model.scoring import protocols; protocols.names(); "
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("module", ["evaluate", "counting", "transfer"])
def test_counting_does_not_depend_on_protocols(module: str) -> None:
    imported = provenance.closure(f"model.scoring.{module}")
    assert not [name for name in imported if name.startswith("model.scoring.protocols")]
    assert "model.scoring.scores" not in imported


def test_scannet200_adds_the_mean_of_each_group_to_the_official_scores() -> None:
    # the bed neither occurs nor is predicted; the chair does not occur and is predicted
    counts = confusion(np.array([0, 0, 0, 0, 2, 2]), np.array([0, 0, 1, -1, 2, 2]), K)
    groups = {"wall": "head", "chair": "head", "floor": "common", "bed": "tail"}
    found = protocols.score("scannet200", counts, NAMES, groups)
    official = protocols.score("scannet_official", counts, NAMES)
    np.testing.assert_array_equal(found.iou, official.iou)
    assert found.iou[:3].tolist() == [0.5, 0, 1]
    assert found.mean_iou == official.mean_iou == 0.5
    assert found.groups["head"] == 0.25
    assert found.groups["common"] == 1
    assert math.isnan(found.groups["tail"])
    assert found.as_json()["groups"] == {"head": 0.25, "common": 1.0, "tail": None}
    assert "groups" not in official.as_json()


def test_scannet200_without_groups_has_the_mean_of_all() -> None:
    counts = confusion(np.array([0, 1]), np.array([0, 0]), K)
    found = protocols.score("scannet200", counts, NAMES, dict.fromkeys(NAMES, ""))
    assert found.mean_iou == 0.25
    assert not found.groups


def test_protocols_of_groups_are_in_no_other_table() -> None:
    assert "scannet200" not in protocols.names()
    assert protocols.names(grouped=True) == (*protocols.names(), "scannet200")
    with pytest.raises(ValueError, match="'scannet200' is none of"):
        protocols.score("scannet200", np.zeros((K, K + 1), int), NAMES)
