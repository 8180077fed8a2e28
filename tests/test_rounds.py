"""Rounds of self-training: what a network learns again, and what one round more costs."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model.data.entries import read_array, read_entry, read_labels
from model.network.device import device
from model.network.trained import load
from model.reports.lines import lines
from model.scoring.evaluate import evaluate_network
from model.stages.runs import run_in, seed_of, variant_of
from model.training.refine import LabelsConfig, superpoint_of, write_refined_labels
from model.training.self_training import RoundConfig, choose_labels, combined
from pipeline.facts import ROUNDS, Facts, in_rounds, round_of
from pipeline.plan import graph
from pipeline.plan.plan import Plan
from tests.helpers import tiny_store
from tests.helpers.tiny_entries import (
    CLASSES,
    Room,
    tiny_params,
    train_with,
    write_rooms,
    write_text,
)
from tests.helpers.tiny_rounds import (
    adapter_of,
    student_of,
    train_round,
    write_labels_of_round,
)

SETTINGS = tiny_params(4) | {"labels": {"source": "adapter"}, "loss": {"text": 1.0}}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> list[Room]:
    return write_rooms(tmp_path_factory.mktemp("rooms"), range(2))


@pytest.fixture(scope="module")
def first(rooms: list[Room], text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_with(SETTINGS, "ess_esgs", rooms, text, tmp_path_factory.mktemp("first") / "net")


probabilities = arrays.arrays(np.float32, (5, 4), elements=st.floats(0, 1, width=32))
shares = st.floats(0, 1)


@given(probabilities, probabilities, arrays.arrays(bool, 4), shares)
def test_both_are_combined_among_the_tags(
    teacher: np.ndarray, student: np.ndarray, present: np.ndarray, share: float
) -> None:
    both = combined(teacher, student, present, share)
    assert both.dtype == np.float32
    assert not both[:, ~present].any()
    np.testing.assert_allclose(both.sum(axis=1), float(present.any()), atol=1e-5)
    swapped = combined(student, teacher, present, 1 - share)
    np.testing.assert_allclose(swapped, both, atol=1e-4)


def test_both_count_by_their_share_and_what_the_network_sees_of_absent_classes_does_not() -> None:
    teacher = np.array([[0.9, 0.1, 0.0]], np.float32)
    student = np.array([[0.04, 0.06, 0.9]], np.float32)  # 0.4 and 0.6 of what is there
    present, alone = np.array([True, True, False]), np.array([-1])
    for share in (0.0, 0.3, 1.0):
        weight = [0.9**share * 0.4 ** (1 - share), 0.1**share * 0.6 ** (1 - share)]
        given_ = RoundConfig(teacher_share=share, keep_share=1.0)
        chosen = choose_labels(teacher, student, present, alone, given_)
        np.testing.assert_allclose(chosen.probability[0, :2], weight / np.sum(weight), atol=1e-4)
        assert chosen.label[0] == int(share == 0)


def test_labels_of_a_round_are_among_the_tags_and_each_class_keeps_its_share(
    rooms: list[Room], text: Path, first: Path, tmp_path: Path
) -> None:
    labels = {}
    for share in (1.0, 0.5):
        given_ = RoundConfig(keep_share=share, soft=True)
        out = write_labels_of_round(given_, rooms, text, first, tmp_path / f"{share}")
        labels[share] = read_labels(out, rooms[0].scan)
    present = np.flatnonzero(rooms[0].weak.present())
    whole, part = (labels[share].label for share in (1.0, 0.5))
    assert set(whole) <= {*present}, "with all kept, no voxel is without a label"
    assert {*part} - {-1} == {*whole}
    assert all(part[part >= 0] == whole[part >= 0])
    for name in {*whole}:
        assert (part == name).sum() == np.ceil(0.5 * (whole == name).sum())
    soft = labels[1.0].probability
    assert soft.shape == (len(whole), len(CLASSES))
    np.testing.assert_array_equal(soft.argmax(axis=1), whole)


def test_with_the_share_1_the_labels_are_those_of_the_adapter(
    rooms: list[Room], text: Path, first: Path, tmp_path: Path
) -> None:
    given_ = RoundConfig(teacher_share=1.0, keep_share=1.0)
    round_ = write_labels_of_round(given_, rooms, text, first, tmp_path / "round")
    of_adapter, weak = tmp_path / "adapter", [room.weak for room in rooms]
    write_refined_labels(LabelsConfig(keep_share=1.0), weak, text, adapter_of(first), of_adapter)
    for room in rooms:
        one, other = (read_labels(path, room.scan).label for path in (round_, of_adapter))
        np.testing.assert_array_equal(one, other)


def test_with_the_share_0_the_labels_are_those_of_the_network(
    rooms: list[Room], text: Path, first: Path, tmp_path: Path
) -> None:
    given_ = RoundConfig(teacher_share=0.0, superpoints="none", keep_share=1.0)
    out = write_labels_of_round(given_, rooms, text, first, tmp_path / "round")
    student = student_of(first)
    for room in rooms:
        voxel = read_array(read_entry(room.path("targets")), "voxel")
        own = np.where(room.weak.present(), student(room.weak), -1)[voxel]
        np.testing.assert_array_equal(read_labels(out, room.scan).label, own.argmax(axis=1))


def test_superpoints_have_one_label_each(
    rooms: list[Room], text: Path, first: Path, tmp_path: Path
) -> None:
    given_ = RoundConfig(keep_share=1.0)
    out = write_labels_of_round(given_, rooms, text, first, tmp_path / "round")
    label, superpoint = read_labels(out, rooms[0].scan).label, superpoint_of(rooms[0].weak)
    pairs = {*zip(superpoint[superpoint >= 0], label[superpoint >= 0], strict=True)}
    assert len(pairs) == len({*superpoint[superpoint >= 0]})


@pytest.mark.skipif(torch.cuda.is_available(), reason="exact on a CPU only")
def test_a_round_that_was_killed_ends_in_the_same_bytes_and_is_a_row_of_its_own(
    rooms: list[Room], text: Path, first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_round(SETTINGS, rooms, text, first, tmp_path / "whole")
    monkeypatch.setattr("model.training.weakly_supervised.Trained.save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_round(SETTINGS, rooms, text, first, tmp_path / "killed", checkpoint_every=2)
    monkeypatch.undo()
    assert (tmp_path / "killed.scratch/checkpoint.safetensors").exists()
    again = train_round(SETTINGS, rooms, text, first, tmp_path / "killed", checkpoint_every=2)
    assert again.read_bytes() == whole.read_bytes()
    assert load(whole, device()).variant == "ess_esgs_round1"
    labelled = [rooms[0].labelled]
    scored = [r for path in (whole, first) for r in evaluate_network(path, labelled, "val")]
    names = [line.name for line in lines(scored) if line.plain]
    assert names == ["(d) ESS+ESGS", "(d) round 1"]


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def planned(folder: Path, rounds: int, **train: Any) -> Plan:
    """A plan with rounds of self-training; nothing of it is computed."""
    facts = tiny_store.facts(folder)
    facts["section"]["train"] = {
        "variants": ["esgs", "ess_esgs", "supervised"],
        "seeds": [0, 1],
        "optimiser": {"steps": 9},
        "adapter": {},
        "labels": {"source": "adapter", "soft": False},
        "self_training": {"rounds": rounds},
    } | train
    return Plan(Facts.from_json(facts))


def homes(plan: Plan) -> Mapping[tuple[str, str], Path]:
    return {entry: plan.home(*entry) for entry in plan.entries}


def test_a_round_more_makes_nothing_again(tmp_path: Path) -> None:
    of = [homes(planned(tmp_path, rounds)) for rounds in range(4)]
    for number, (before, after) in enumerate(pairwise(of), start=1):
        assert before.items() <= after.items()
        runs = [f"ess_esgs_round{number}-{seed}" for seed in (0, 1)]
        stages = [f"{name}_round{number}" for name in ("relabel", "retrain", "evaluate")]
        assert after.keys() - before.keys() == {(s, run) for s in stages for run in runs}


def test_the_settings_of_rounds_reach_rounds_alone(tmp_path: Path) -> None:
    plain = planned(tmp_path, 2)
    none = {*planned(tmp_path, 0).keys.items()}
    for setting, stages in {
        "teacher_share": {"relabel", "retrain", "evaluate"},
        "keep_share": {"relabel", "retrain", "evaluate"},
        "steps": {"retrain", "evaluate"},
    }.items():
        value = 7 if setting == "steps" else 0.9
        other = planned(tmp_path, 2, self_training={"rounds": 2, setting: value})
        changed = {s for s in plain.keys if plain.keys[s] != other.keys[s]}
        wanted = {f"{stage}_round{n}" for stage in stages for n in (1, 2)}
        if setting == "steps":
            wanted.add("relabel_round2")  # by another network
        assert changed == wanted | {"clouds", "report", "page"}
        other = planned(tmp_path, 0, self_training={"rounds": 0, setting: value})
        assert {*other.keys.items()} == none


def test_a_round_learns_from_the_one_before_with_the_adapter_of_the_first(tmp_path: Path) -> None:
    plan = planned(tmp_path, 2)
    for number, before in (
        (1, ("train", "ess_esgs-1")),
        (2, ("retrain_round1", "ess_esgs_round1-1")),
    ):
        run = f"ess_esgs_round{number}-1"
        adapter = ("adapter", "ess_esgs-1")
        read = {*plan.inputs(f"relabel_round{number}", run)}
        assert {before, adapter} <= read
        assert {stage for stage, _ in read} == {
            *("voxels", "targets", "pseudo_labels", "tags", "text", "adapter", before[0])
        }
        read = {*plan.inputs(f"retrain_round{number}", run)}
        assert {(f"relabel_round{number}", run), adapter} <= read


def test_networks_of_rounds_are_scored_and_label_clouds_like_the_others(tmp_path: Path) -> None:
    facts = planned(tmp_path, 2, seeds=[0]).facts
    runs = ["esgs-0", "ess_esgs-0", "ess_esgs_round1-0", "ess_esgs_round2-0"]
    assert facts.weak_networks == runs
    assert facts.networks == facts.scores[-5:] == [*runs, "supervised-0"]
    assert [*facts.clouds.values()] == facts.networks
    assert [facts.trainer(run) for run in runs[1:]] == ["train", "retrain_round1", "retrain_round2"]
    assert facts.evaluator("ess_esgs_round2-0") == "evaluate_round2"
    assert {facts.evaluator(name) for name in ("fused", "ess_esgs-0")} == {"evaluate"}


def test_rounds_are_of_variants_with_refined_labels(tmp_path: Path) -> None:
    for train in ({"labels": {"source": "text"}}, {"variants": ["esgs", "supervised"]}):
        plan = planned(tmp_path, 2, **train)
        assert plan.facts.rounds == 0
        assert not {round_of(stage) for stage in plan.stages} - {0}


@given(st.integers(0, ROUNDS), st.integers(0, 99))
def test_the_name_of_a_run_says_its_round(number: int, seed: int) -> None:
    run = run_in(number, f"ess_esgs-{seed}")
    assert (round_of(run), variant_of(run), seed_of(run)) == (number, "ess_esgs", seed)
    assert run_in(0, run) == f"ess_esgs-{seed}"


def test_each_round_has_stages_of_its_own() -> None:
    for name in ("relabel", "retrain", "evaluate"):
        stages = [stage for stage in graph.modules() if stage.startswith(f"{name}_round")]
        assert stages == [*in_rounds(name)]
        assert [graph.stage(stage).name for stage in stages] == stages
