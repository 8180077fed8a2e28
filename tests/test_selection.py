"""Held-out training scans and their scene tags say which step's weights a network keeps."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.data.entries import read_entry
from model.inference.predict import predict
from model.network import files
from model.network.trained import LAST_STEP, load, rules
from model.scoring.counting import count
from model.scoring.evaluate import evaluate_network
from model.training import selection
from model.training.loop import OptimiserConfig
from model.training.selection import SelectionConfig, agreement, hold_out
from pipeline.errors import BadInput
from pipeline.store import groups
from pipeline.store.arrays import write
from tests.helpers.tiny_entries import (
    CLASSES,
    Room,
    tiny_params,
    train_with,
    write_rooms,
    write_text,
)

exact = pytest.mark.skipif(torch.cuda.is_available(), reason="exact on a CPU only")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> list[Room]:
    return write_rooms(tmp_path_factory.mktemp("rooms"), range(6))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text"))


def choosing(steps: int = 6, **changes: Any) -> dict[str, Any]:
    return tiny_params(steps) | {"selection": {"held_out": 0.3, "every": 2} | changes}


def metadata(path: Path) -> Mapping[str, str]:
    return files.read(path)[1]


def curves(path: Path) -> dict[str, Any]:
    return json.loads(metadata(path)["curves"])


# Three scans; wall is in all of them, chair in the first two, sink in the third.
PRESENT = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1]], bool)
RIGHT = np.array([[60, 40, 0], [50, 50, 0], [70, 0, 30]])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (RIGHT, 1.0),
        ([[100, 0, 0]] * 3, 1 / 3),  # always wall: P and R of the others are 0
        ([[0, 0, 0]] * 3, 0.0),
        ([[60, 40, 0], [100, 0, 0], [70, 0, 30]], (1 + 1 / 2 + 1) / 3),  # a chair is missed
        ([[60, 40, 0], [50, 50, 0], [50, 30, 20]], (1 + 90 / 120 + 1) / 3),  # one too many
        # A tenth of a percent of the voxels is enough for a class to be found, and less is not.
        ([[60, 40, 0], [50, 50, 0], [999, 0, 1]], 1.0),
        ([[60, 40, 0], [50, 50, 0], [9999, 0, 1]], 2 / 3),
    ],
)
def test_the_agreement_is_the_mean_of_precision_times_recall_of_each_class(
    found: Any, expected: float
) -> None:
    assert agreement(np.array(found), PRESENT) == pytest.approx(expected)


def test_a_scan_whose_tags_name_every_class_says_nothing() -> None:
    untagged = np.ones((1, 3), bool)
    for found in ([[100, 0, 0]], [[0, 50, 50]]):
        more = np.concatenate([RIGHT, found])
        assert agreement(more, np.concatenate([PRESENT, untagged])) == 1.0


def test_a_class_that_no_scan_has_only_lowers_the_agreement_of_others_by_what_it_takes() -> None:
    present, found = np.pad(PRESENT, ((0, 0), (0, 1))), np.pad(RIGHT, ((0, 0), (0, 1)))
    assert agreement(found, present) == 1.0
    assert agreement(found + np.array([0, 0, 0, 50]), present) == 1.0
    taken = np.column_stack([found[:, 0], found[:, 1] * 0, found[:, 2], found[:, 1]])
    assert agreement(taken, present) == pytest.approx(2 / 3)


counts = arrays(np.int64, (4, 5), elements=st.integers(0, 500))
tags = arrays(np.bool_, (4, 5)).filter(lambda t: (t.any(axis=1) & ~t.all(axis=1)).all())


@settings(max_examples=60)
@given(counts, tags, st.permutations(range(4)), st.permutations(range(5)))
def test_the_agreement_is_a_share_whatever_the_order_of_scans_and_classes(
    found: np.ndarray, present: np.ndarray, scans: list[int], classes: list[int]
) -> None:
    value = agreement(found, present)
    assert 0 <= value <= 1
    assert agreement(np.where(present, 100, 0), present) == 1.0
    order = np.ix_(scans, classes)
    assert agreement(found[order], present[order]) == pytest.approx(value)


def test_scans_that_are_held_out_depend_on_the_seed_and_are_not_trained_on(
    rooms: list[Room],
) -> None:
    scans = [room.weak for room in rooms]
    seen = set()
    for seed in range(8):
        kept, held = hold_out(SelectionConfig(held_out=0.3), scans, seed)
        assert len(held) == 2
        assert sorted([*kept, *held], key=lambda scan: scan.scan) == scans
        assert (kept, held) == hold_out(SelectionConfig(held_out=0.3), scans, seed)
        seen.add(tuple(scan.scan for scan in held))
    assert len(seen) > 1
    assert len(hold_out(SelectionConfig(held_out=0.01), scans, 0)[1]) == 1
    assert hold_out(SelectionConfig(), scans, 0) == (scans, [])


@exact
def test_targets_and_pseudo_labels_of_scans_held_out_reach_no_weight(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    before = train_with(choosing(), "esgs", rooms, text, tmp_path / "before")
    _, held = hold_out(SelectionConfig(held_out=0.3), [room.weak for room in rooms], 0)
    copies = write_rooms(tmp_path, range(6))
    broken = {scan.scan for scan in held}
    for room in copies:
        if room.scan in broken:
            room.path("targets").write_bytes(b"")
            room.path("pseudo_labels").write_bytes(b"")
    assert (
        train_with(choosing(), "esgs", copies, text, tmp_path / "after").read_bytes()
        == before.read_bytes()
    )


@exact
def test_measuring_changes_no_weight_and_nothing_is_measured_without_scans_held_out(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    _, held = hold_out(SelectionConfig(held_out=0.3), [room.weak for room in rooms], 0)
    trained_on = [room for room in rooms if room.weak not in held]
    measured = train_with(choosing(), "esgs", rooms, text, tmp_path / "measured")
    alone = train_with(tiny_params(6), "esgs", trained_on, text, tmp_path / "alone")
    ours, theirs = (files.under("network", files.read(p)[0]) for p in (measured, alone))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours.keys() | theirs.keys())
    assert curves(measured)["network"] == curves(alone)["network"]
    assert "selection" not in curves(alone)
    assert metadata(alone)["selection"] == LAST_STEP
    assert rules(alone) == ["last"]
    default = tiny_params(6) | {"selection": {"held_out": 0.0, "every": 2, "rule": "last"}}
    off = train_with(default, "esgs", trained_on, text, tmp_path / "off")
    one, other = files.read(alone)[0], files.read(off)[0]
    assert all(torch.equal(one[name], other[name]) for name in one.keys() | other.keys())


@pytest.mark.parametrize("rule", ["last", "tags"])
def test_a_network_is_what_the_rule_chose_and_its_file_holds_the_other_too(
    rule: str, rooms: list[Room], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([0.2, 0.9, 0.9, 0.4])  # of two that agree as well, the later is taken
    monkeypatch.setattr(selection, "agreement", lambda found, present: next(measured))
    given = choosing(8, rule=rule)
    path = train_with(given, "esgs", rooms, text, tmp_path / rule, checkpoint_every=6)
    assert curves(path)["selection"] == {"step": [2, 4, 6, 8], "agreement": [0.2, 0.9, 0.9, 0.4]}
    assert rules(path) == [rule, {"last": "tags", "tags": "last"}[rule]]
    of_step_6 = files.read(tmp_path / f"{rule}.scratch" / "checkpoint.safetensors")[0]
    expected = files.under("network", of_step_6)
    best, last = (load(path, CPU, each) for each in ("tags", "last"))
    same = {
        name: all(torch.equal(t, expected[key]) for key, t in each.network.state_dict().items())
        for name, each in (("best", best), ("last", last))
    }
    assert same == {"best": True, "last": False}
    assert (best.rule, last.rule) == ("tags", "last")
    scans = "the scene tags of 2 held-out training scans"
    assert best.selection == f"step 6 of 8, best agreement with {scans} (0.900; last step 0.400)"
    assert last.selection == f"{LAST_STEP} (agreement with {scans} 0.400, best 0.900 at step 6)"
    assert load(path, CPU).rule == rule
    assert metadata(path)["selection"] == load(path, CPU).selection


def test_what_is_measured_are_the_labels_that_inference_gives(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    given = choosing(4) | {"voxel_size": 0.2, "inputs": ["color", "height", "normal"]}
    path = train_with(given, "esgs", rooms, text, tmp_path / "a")
    _, held = hold_out(SelectionConfig(held_out=0.3), [room.weak for room in rooms], 0)
    present = np.stack([scan.present() for scan in held])
    measured = curves(path)["selection"]["agreement"]
    for rule, expected in (("last", measured[-1]), ("tags", max(measured))):
        trained = load(path, CPU, rule)
        labels = [predict(trained, read_entry(scan.voxels)).label for scan in held]
        found = np.stack([np.bincount(each, minlength=len(CLASSES)) for each in labels])
        assert agreement(found, present) == pytest.approx(expected)


@pytest.mark.parametrize("rule", ["last", "tags"])
def test_both_choices_of_one_run_are_scored(
    rule: str, rooms: list[Room], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([0.9, 0.2])
    monkeypatch.setattr(selection, "agreement", lambda found, present: next(measured))
    path = train_with(choosing(4, rule=rule), "esgs", rooms, text, tmp_path / rule)
    results = evaluate_network(path, [rooms[0].labelled], "val")
    other = {"last": "tags", "tags": "last"}[rule]
    expected = [f"esgs{end}" for end in ("", "_voted", f"_{other}", f"_{other}_voted")]
    assert [result["row"] for result in results] == expected
    assert results[0]["total"] != results[2]["total"]
    for result, chosen in ((results[0], rule), (results[2], other)):
        trained = load(path, CPU, chosen)
        label = predict(trained, read_entry(rooms[0].weak.voxels)).label
        counts = count(rooms[0].labelled, label, len(CLASSES))
        assert result["total"] == counts.tolist()
        assert result["selection"] == trained.selection


def test_weights_that_were_never_chosen_cannot_be_loaded(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    path = train_with(tiny_params(1), "esgs", rooms, text, tmp_path / "a")
    with pytest.raises(BadInput, match="no weights chosen by the rule 'tags'"):
        load(path, CPU, "tags")


class KilledError(Exception):
    pass


@exact
@pytest.mark.parametrize("killed_at", [1, 5])
@pytest.mark.parametrize("every", [2, 3])
def test_a_killed_run_chooses_the_same_weights(
    killed_at: int,
    every: int,
    rooms: list[Room],
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = choosing(7, every=every, rule="tags")
    whole = train_with(given, "esgs", rooms, text, tmp_path / "whole")
    rate = OptimiserConfig.rate

    def killed(self: OptimiserConfig, step: int) -> float:
        if step == killed_at:
            raise KilledError
        return rate(self, step)

    monkeypatch.setattr(OptimiserConfig, "rate", killed)
    with pytest.raises(KilledError):
        train_with(given, "esgs", rooms, text, tmp_path / "killed", checkpoint_every=2)
    monkeypatch.undo()
    again = train_with(given, "esgs", rooms, text, tmp_path / "killed", checkpoint_every=2)
    assert curves(again)["selection"]["step"] == [*range(every, 7, every), 7]
    assert again.read_bytes() == whole.read_bytes()


def test_scans_that_cannot_be_held_out_are_said_to_be(rooms: list[Room], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"`rule: tags` has no scans .*set `held_out` above 0"):
        SelectionConfig(rule="tags")
    with pytest.raises(BadInput, match=r"a single training scan cannot be held out"):
        hold_out(SelectionConfig(held_out=0.5), [rooms[0].weak], 0)
    untagged = write_rooms(tmp_path, [0, 1])
    for room in untagged:
        room.path("tags").unlink()
        with groups.create(room.path("tags"), {"classes": CLASSES}) as out:
            write(out, "present", np.ones(len(CLASSES), bool))
    with pytest.raises(BadInput, match=r"no scan that is held out has scene tags"):
        hold_out(SelectionConfig(held_out=0.5), [room.weak for room in untagged], 0)


def test_a_network_says_how_many_scans_it_was_trained_on(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    for variant, scans in (("esgs", len(rooms) - 2), ("supervised", len(rooms))):
        path = train_with(choosing(2), variant, rooms, text, tmp_path / variant)
        assert load(path, torch.device("cpu")).trained_on == scans


def test_the_supervised_network_is_the_last_step_of_all_scans(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    with_held_out = train_with(choosing(2), "supervised", rooms, text, tmp_path / "a")
    without = train_with(tiny_params(2), "supervised", rooms, text, tmp_path / "b")
    one, other = files.read(with_held_out)[0], files.read(without)[0]
    assert all(torch.equal(one[name], other[name]) for name in one.keys() | other.keys())
    assert metadata(with_held_out)["selection"] == LAST_STEP
