"""A training can be watched while it runs, and what is watched is what was trained."""

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

from model.network import files
from model.stages import adapter, supervised, train
from model.training import watch
from model.training.curves import thinned
from model.training.fit_adapter import write_adapter
from model.training.loop import OptimiserConfig
from model.training.watch import Watch
from pipeline.jobs import entries
from pipeline.stages.declaration import ONLY, Request
from tests.helpers import tiny_store
from tests.helpers.tiny_entries import (
    Room,
    loss_terms,
    tiny_params,
    train_with,
    write_rooms,
    write_text,
)

exact = pytest.mark.skipif(torch.cuda.is_available(), reason="exact on a CPU only")

WEIGHTS = {"cosine": 1.0, "text": 0.5, "absent": 0.3}
SETTINGS = tiny_params(7) | {
    "loss": WEIGHTS | {"balance": True},
    "selection": {"held_out": 0.3, "every": 3},
}
OTHERS = ["rate", "seconds", "waiting", "gpu_mb", "agreement"]


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> list[Room]:
    return write_rooms(tmp_path_factory.mktemp("rooms"), range(4))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text(tmp_path_factory.mktemp("text"))


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step has a row."""
    monkeypatch.setattr(watch, "STEPS", 1)
    monkeypatch.setattr(watch, "SECONDS", 0)


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / watch.FILE).open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]


def column(folder: Path, name: str) -> list[float]:
    return [float(row[name]) for row in read(folder)]


def events(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard shows: tag -> step -> value, which is of single precision."""
    read = EventAccumulator(str(folder))
    read.Reload()
    found = {}
    for tag in read.Tags()["scalars"]:
        shown = read.Scalars(tag)
        assert len({event.step for event in shown}) == len(shown), "a step is there twice"
        found[tag] = {event.step: event.value for event in shown}
    return found


def curves(network: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files.read_metadata(network)["curves"])
    return found


@pytest.mark.usefixtures("every_step")
def test_the_rows_of_a_training_are_the_curves_in_the_file_of_its_network(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    known = curves(train_with(SETTINGS, "ess_esgs", rooms, text, tmp_path / "a", log=log))
    rows, terms = read(log), sorted(WEIGHTS)
    assert list(rows[0]) == ["step", "loss", *(f"loss/{term}" for term in terms), *OTHERS]
    steps = [*range(1, 8)]
    assert column(log, "step") == known["terms"]["step"] == known["rate"]["step"] == steps
    assert column(log, "loss") == known["network"]["loss"]
    for term in terms:
        assert column(log, f"loss/{term}") == known["terms"][term]
    for row in rows:
        parts = sum(float(row[f"loss/{term}"]) for term in terms)
        assert parts == pytest.approx(float(row["loss"]), rel=1e-6)
    config = OptimiserConfig(**SETTINGS["optimiser"])
    assert column(log, "rate") == known["rate"]["rate"] == [config.rate(step) for step in range(7)]
    measured = {int(row["step"]): float(row["agreement"]) for row in rows if row["agreement"]}
    selection = known["selection"]
    assert measured == dict(zip(selection["step"], selection["agreement"], strict=True))
    assert [*measured] == [3, 6, 7]
    assert all(0 <= share <= 1 for share in column(log, "waiting"))
    assert all(seconds > 0 for seconds in column(log, "seconds"))


@pytest.mark.usefixtures("every_step")
def test_tensorboard_reads_the_same_values(rooms: list[Room], text: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    train_with(SETTINGS, "ess_esgs", rooms, text, tmp_path / "a", log=log)
    rows, shown = read(log), events(log)
    on_gpu = {"gpu_mb"} if torch.cuda.is_available() else set()
    assert shown.keys() == rows[0].keys() - {"step", "gpu_mb"} | on_gpu
    for tag, values in shown.items():
        given_ = {int(row["step"]): float(row[tag]) for row in rows if row[tag]}
        assert values == pytest.approx(given_, rel=1e-6)


@exact
@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("variant", ["ess_esgs", "supervised"])
def test_watching_changes_no_byte_of_a_network(
    variant: str, rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    alone = train_with(SETTINGS, variant, rooms, text, tmp_path / "alone")
    seen = train_with(SETTINGS, variant, rooms, text, tmp_path / "seen", log=tmp_path / "log")
    assert seen.read_bytes() == alone.read_bytes()
    assert len(read(tmp_path / "log")) == 7


class KilledError(Exception):
    pass


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise `KilledError` when a training comes to a step, counted from 0, for the first time."""
    rate = OptimiserConfig.rate

    def killed(self: OptimiserConfig, now: int) -> float:
        if now == step:
            raise KilledError
        return rate(self, now)

    monkeypatch.setattr(OptimiserConfig, "rate", killed)


@exact
@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize(("killed_at", "kept"), [(1, 0), (5, 4)])
def test_after_a_kill_the_rows_go_on_and_no_step_is_there_twice(
    killed_at: int,
    kept: int,
    rooms: list[Room],
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, log = train_with(SETTINGS, "esgs", rooms, text, tmp_path / "whole"), tmp_path / "log"
    options: dict[str, Any] = {"checkpoint_every": 2, "log": log}
    with monkeypatch.context() as patch:
        kill_at(killed_at, patch)
        with pytest.raises(KilledError):
            train_with(SETTINGS, "esgs", rooms, text, tmp_path / "killed", **options)
    before = read(log)
    assert len(before) == killed_at
    with (log / watch.FILE).open("a", encoding="utf-8") as file:
        file.write(f"1,{before[0]['loss']},0.")  # by a machine that failed while it wrote
    again = train_with(SETTINGS, "esgs", rooms, text, tmp_path / "killed", **options)
    assert again.read_bytes() == whole.read_bytes()
    assert read(log)[:kept] == before[:kept], "with their times"
    assert column(log, "step") == [*range(1, 8)]
    assert column(log, "loss") == curves(whole)["network"]["loss"]
    assert events(log)["loss"] == pytest.approx(
        dict(zip(range(1, 8), column(log, "loss"), strict=True)), rel=1e-6
    )


@pytest.mark.usefixtures("every_step")
def test_a_run_that_begins_anew_has_new_rows_and_events(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    log, short = tmp_path / "log", SETTINGS | {"optimiser": SETTINGS["optimiser"] | {"steps": 3}}
    train_with(SETTINGS, "esgs", rooms, text, tmp_path / "first", log=log)
    network = train_with(short, "esgs", rooms, text, tmp_path / "second", log=log, seed=1)
    assert column(log, "loss") == curves(network)["network"]["loss"]
    assert [*events(log)["loss"]] == [1, 2, 3]


@pytest.mark.usefixtures("every_step")
def test_the_fit_of_an_adapter_has_a_row_for_each_epoch(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    out, scans, log = tmp_path / "adapter", [room.weak for room in rooms], tmp_path / "log"
    settings = {"preset": "normalised", "epochs": 5, "batch": 2, "held_out": 0.3}

    write_adapter(settings, scans, text, out, seed=0)
    alone = out.read_bytes()
    write_adapter(settings, scans, text, out, seed=0, log=log)
    assert out.read_bytes() == alone
    known = curves(out)
    assert list(read(log)[0]) == ["step", "loss", *OTHERS]
    assert column(log, "step") == [1, 2, 3, 4, 5]
    assert column(log, "loss") == known["loss"]
    assert column(log, "agreement") == known["agreement"]


def test_without_tensorboard_there_is_a_sentence_and_the_file(
    rooms: list[Room],
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    train_with(SETTINGS, "esgs", rooms, text, tmp_path / "a", log=tmp_path / "log")
    assert capsys.readouterr().err.count("no events for TensorBoard, which cannot be loaded") == 1
    assert [row["step"] for row in read(tmp_path / "log")] == ["3", "6", "7"]
    assert [*(tmp_path / "log").iterdir()] == [tmp_path / "log" / watch.FILE]


class Clock:
    """Seconds that pass when a test says so, in the place of those of the module."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(watch, "time", SimpleNamespace(perf_counter=lambda: self.now))


@pytest.mark.parametrize(
    ("seconds", "steps"),
    [(0.1, [20, 40, 60, 80, 100, 105]), (5, [*range(10, 101, 10), 105])],
)
def test_ten_steps_and_two_seconds_are_between_two_rows(
    seconds: float, steps: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    with Watch(tmp_path / "log") as watched:
        for step in range(1, 106):
            clock.now += seconds * 1.0001  # beyond rounding
            watched.step(step, 0.5, 0.1, last=step == 105)
    assert column(tmp_path / "log", "step") == steps


def test_the_time_that_batches_are_waited_for_is_their_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)

    def batches() -> Any:
        for number in range(20):
            clock.now += 3  # to read it
            yield number

    with Watch(tmp_path / "log") as watched:
        for number in watched.waiting(batches()):
            clock.now += 1  # to train with it
            watched.step(number + 1, 0.5, 0.1)
    assert column(tmp_path / "log", "waiting") == [0.75, 0.75]
    assert column(tmp_path / "log", "seconds") == [4, 4]


@given(st.integers(1, 100_000), st.integers(1, 300))
def test_a_thinned_curve_is_even_and_has_the_last_step(steps: int, rows: int) -> None:
    kept = thinned(steps, rows)
    assert len(kept) <= rows
    assert kept[-1] == steps
    assert kept[0] >= 1
    assert len({after - before for before, after in pairwise(kept)}) <= 1


def worker(stage: str) -> Callable[[Path, Request], None]:
    """What makes the run of a stage, of tiny networks."""
    if stage == "adapter":
        return adapter.Worker({"adapter": SETTINGS["adapter"]})
    if stage == "supervised":
        return supervised.Worker(SETTINGS)
    return train.Worker(SETTINGS, loss_terms(SETTINGS["loss"]))


RUNS = [("train", "esgs-0"), ("adapter", "ess_esgs-0"), ("supervised", "supervised-0")]


def test_tensorboard_shows_all_runs_below_work_by_name(
    rooms: list[Room], text: Path, tmp_path: Path
) -> None:
    of_scans = ("voxels", "targets", "pseudo_labels", "tags", "labels")
    inputs = {(stage, room.scan): room.path(stage) for room in rooms for stage in of_scans}
    inputs[("text", ONLY)] = text
    scans, work = [room.scan for room in rooms], tmp_path / "work"
    plan = tiny_store.plan(tmp_path / "store", scans, work=str(work))
    section = {**plan.facts.section, "workers": 0, "embeddings": {"features": "somewhere"}}
    facts = replace(plan.facts, section=section)
    for stage, name in RUNS:
        asked = entries.request(plan, stage, name, tmp_path / "x" / "y" / "z", inputs)
        worker(stage)(tmp_path / f"{stage}.safetensors", replace(asked, facts=facts))
        assert asked.log
        assert len(read(asked.log)) > 0
    shown = EventMultiplexer().AddRunsFromDirectory(str(work)).Runs()
    assert sorted(run.rpartition("-")[0] for run in shown) == sorted(
        f"scannet/training/{stage}/{name}" for stage, name in RUNS
    )


def test_a_stale_run_and_the_new_one_have_folders_of_their_own(tmp_path: Path) -> None:
    plans = [tiny_store.plan(tmp_path, raw=raw) for raw in ("0", "1")]
    plans.append(tiny_store.plan(tmp_path, voxel_size=0.1))
    folders = [plan.training_log("train", "esgs-0") for plan in plans]
    assert len({*folders}) == 3
    assert {folder.parent for folder in folders} == {Path("work/scannet/training/train")}
    assert {folder.name.rpartition("-")[0] for folder in folders} == {"esgs-0"}
