"""What is missing is forecast by what was made of the same settings, in proportion to the scans."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BadInput
from pipeline.estimate import choice, estimate, jobs, ledger, measured, plan_jobs
from pipeline.estimate.forecast import Measured, forecasts
from pipeline.estimate.known import Known
from pipeline.plan.plan import Plan
from tests.helpers import tiny_store
from tests.helpers.tiny_records import put

SCANS = {"train": [f"scan{n}" for n in range(8)], "val": ["scan8", "scan9"]}
SIZES = {f"scan{n}": {"frames": 10.0 * (n + 1), "cloud": 100.0} for n in range(10)}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    found = tiny_store.plan(tmp_path / "store", **SCANS, work=str(tmp_path / "work"))
    return Plan(replace(found.facts, section={**found.section, "workers": 0, "threads": 1}))


def test_time_and_size_are_in_proportion_to_the_raw_files(plan: Plan) -> None:
    for number in (0, 4, 9):
        work = 10.0 * (number + 1)
        put(plan, "frames", f"scan{number}", seconds=work / 2, cpu=work, bytes=work * 1000)
    found = forecasts(plan, SIZES)["frames"]
    missing = sum(10.0 * (n + 1) for n in range(10) if n not in (0, 4, 9))
    assert found.total("seconds") == pytest.approx(missing / 2)
    assert found.total("cpu") == pytest.approx(missing)
    assert found.total("bytes") == pytest.approx(missing * 1000)
    assert found.spread == pytest.approx(0, abs=1e-6), "no sample differs from the proportion"
    unknown = forecasts(plan)["frames"]
    assert unknown.total("cpu") == pytest.approx(7 * 160 / 3), "without sizes all are alike"
    assert (unknown.spread or 0) > 0


def test_a_scan_without_raw_files_here_counts_as_the_mean(plan: Plan) -> None:
    put(plan, "frames", "scan0", seconds=1, bytes=10)
    here = {name: size for name, size in SIZES.items() if name != "scan9"}
    entries = forecasts(plan, here)["frames"].entries
    assert entries
    assert entries["scan9"].seconds == pytest.approx(5.0), "the mean of 10 to 90"
    assert entries["scan4"].seconds == pytest.approx(5.0)


def test_a_record_without_processor_time_is_no_reason_to_invent_one(plan: Plan) -> None:
    put(plan, "voxels", "scan0", seconds=1, bytes=10)
    found = forecasts(plan, SIZES)["voxels"]
    assert (found.total("seconds"), found.total("cpu")) == (9, None)
    assert forecasts(plan, SIZES)["labels"].total("seconds") is None


def test_a_trial_counts_for_the_settings_that_it_was_made_with(plan: Plan) -> None:
    trial = Measured(plan.keys["train"], {"esgs-0": Known(50.0, 7.0, 90.0)}, 2.0, 1.0)
    measured.write(plan, {"train": trial})
    found = forecasts(plan, measured=measured.read(plan))["train"]
    assert found.total("cpu") == 90
    assert found.of_job(["esgs-0"]) == 52
    other = replace(trial, key="0" * 12)
    assert forecasts(plan, measured={"train": other})["train"].entries is None
    measured.path_for(plan).write_text('{"train": {"key": 1}}')
    assert measured.read(plan) == {}


def test_samples_are_of_different_size() -> None:
    names = [f"scan{n}" for n in (3, 1, 4, 0, 9, 2, 6, 5, 8, 7)]
    assert choice.choose(names, SIZES, 3) == ["scan1", "scan5", "scan8"]
    assert choice.choose(names, {}, 2) == ["scan4", "scan5"], "evenly spread, as they are listed"
    assert sorted(choice.choose(names, SIZES, 99)) == sorted(names)


def test_jobs_are_those_of_what_is_missing_in_the_order_of_their_needs(plan: Plan) -> None:
    section = {**plan.section, "scans_per_job": 4}
    plan = Plan(replace(plan.facts, section=section))
    put(plan, "voxels", "scan0", seconds=2, bytes=1, start=1.0)
    found = plan_jobs.jobs(plan, forecasts(plan, SIZES))
    voxels = [job for job in found if job.stage == "voxels"]
    assert [job.seconds for job in voxels] == [3 * 2 + 1, 4 * 2 + 1, 2 * 2 + 1]
    by_name = {job.name: job for job in found}
    projections = next(job for job in found if job.stage == "projections")
    assert {by_name[n].stage for n in projections.needs} == {"frames", "voxels"}
    (train,) = (job for job in found if job.stage == "train")
    assert {by_name[n].stage for n in train.needs} >= {"targets", "pseudo_labels", "text"}


def test_a_job_that_fails_is_told_by_its_last_line_and_others_by_what_they_took() -> None:
    work = "import time; b = time.process_time()\nwhile time.process_time() - b < 0.2: pass"
    took = jobs.measured([sys.executable, "-c", work], 1)
    assert took.cpu >= 0.2
    assert took.seconds >= 0.2
    assert took.memory_mb > 1
    with pytest.raises(BadInput, match="the last line"):
        jobs.measured([sys.executable, "-c", "raise SystemExit('first\\nthe last line')"], 1)


def test_a_ledger_has_what_was_estimated_beside_what_was_seen(plan: Plan) -> None:
    put(plan, "frames", "scan0", seconds=1, cpu=2, bytes=10)
    before = forecasts(plan)
    for number in range(1, 10):
        put(plan, "frames", f"scan{number}", seconds=3, cpu=4, bytes=30)
    (row,) = ledger.rows(plan, before, {"frames": 9.5}, {"frames": 30.0})
    assert row["estimated"] == {"seconds": 9.5, "cpu": 18, "bytes": 90}
    assert row["seen"] == {"seconds": 30.0, "cpu": 36, "bytes": 270}
    said: dict[str, Any] = ledger.content(plan.dataset, 20.0, 60.0, "2 cores", [row])
    plan.path.parent.mkdir(parents=True)
    text = ledger.write(plan, said).read_text()
    assert "took 60.0 s on 2 cores, estimated were 20.0 s (+200%)" in text
    assert (text.splitlines()[-1].split()) == [
        "all",
        "9",
        "9.5",
        "s",
        "30.0",
        "s",
        "18.0",
        "s",
        "36.0",
        "s",
        "90",
        "B",
        "270",
        "B",
    ]
    assert json.loads(plan.path.with_name("ledger.json").read_text())["stages"] == [row]


def test_what_could_not_be_known_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCAN_STORE", str(tmp_path / "store"))
    config = tmp_path / "config.yaml"
    config.write_text(
        f"store: store\nwork: {tmp_path}/work\n"
        f"scannet:\n  raw: {tmp_path}/none\n"
        "  embeddings: {model: local-dir:data_manifest/demo/clip}\n"
    )
    found = estimate.estimate("scannet", config, scans=2, cores=4, gpus=None)
    text = estimate.format_report(found)
    assert f"no raw scan is at {tmp_path}/none" in text
    assert "nothing is known of frames" in text
    assert "scannet: more than about" in text
    assert not (tmp_path / "work").exists()
