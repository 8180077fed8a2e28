"""The table counts the present entries, and estimates the missing ones from records."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli.main import main
from pipeline.estimate import choice, known
from pipeline.estimate.forecast import Forecast
from pipeline.facts import Facts
from pipeline.plan import config
from pipeline.plan.plan import Entry, Plan
from pipeline.store import publish, records
from pipeline.upkeep import status
from tests.helpers import tiny_store

ROOT = Path(__file__).parent.parent
SCANS: dict[str, Any] = {"train": ["a", "b", "c"], "val": ["v"]}
ALL = tiny_store.plan(Path("store"), **SCANS).entries


def put(plan: Plan, what: Entry, size: int = 1, seconds: float = 1.0) -> Path:
    """A stand-in for an entry, and a record of how long it took."""
    home = plan.home(*what)
    with publish.place(home) as path:
        path.write_bytes(b"x" * size)
    record = records.path_for(home, records.digest(home))
    record.chmod(0o644)
    record.write_text(json.dumps({"bytes": size, "seconds": seconds}))
    return home


# Upstream before downstream.
STAGES = ["frames", "labels", "text", "voxels", "embeddings", "projections", "tags", "targets",
          "pseudo_labels", "train", "evaluate"]  # fmt: skip


def of(stages: list[Forecast], name: str) -> Forecast:
    (found,) = (stage for stage in stages if stage.stage == name)
    return found


@pytest.mark.parametrize("exists", [False, True])
def test_before_the_first_job_everything_is_missing_and_unknown(
    tmp_path: Path, exists: bool
) -> None:
    root = tmp_path / "store"
    if exists:
        root.mkdir()
    stages = status.survey(tiny_store.plan(root, **SCANS))
    assert [stage.stage for stage in stages] == STAGES
    assert sum(stage.planned for stage in stages) == len(ALL)
    assert all(len(stage.missing) == stage.planned for stage in stages)
    assert not any(stage.present_bytes or stage.entries for stage in stages)
    assert {stage.total("seconds") for stage in stages} == {None}
    assert status.table(stages).splitlines()[-1].split() == [
        *("all", str(len(ALL)), "0", str(len(ALL)), "0", "B", "unknown", "unknown")
    ]
    assert root.exists() == exists, "the survey made a store"


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(ALL), st.integers(0, 99), max_size=12))
def test_counts_and_bytes_are_those_of_the_planned_entries_that_exist(
    made: dict[Entry, int],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plan = tiny_store.plan(Path(folder), **SCANS)
        for what, size in made.items():
            home = put(plan, what, size, seconds=size / 2)
            shutil.copy(home, home.with_name(f"unplanned@{size}.zarr.zip"))
        for stage in status.survey(plan):
            sizes = [size for (name, _), size in made.items() if name == stage.stage]
            assert stage.planned == sum(name == stage.stage for name, _ in ALL)
            present = stage.planned - len(stage.missing)
            assert (present, stage.present_bytes) == (len(sizes), sum(sizes))
            if sizes and stage.stage != "evaluate":  # whose entries are of different kinds
                mean = sum(sizes) / len(sizes)
                assert stage.total("bytes") == pytest.approx(mean * len(stage.missing))
                assert stage.total("seconds") == pytest.approx(mean / 2 * len(stage.missing))
            elif not sizes:
                assert stage.entries is None


def test_a_link_or_a_folder_is_not_an_entry(tmp_path: Path) -> None:
    plan = tiny_store.plan(tmp_path, **SCANS)
    home = put(plan, ("voxels", "a"))
    plan.home("voxels", "b").symlink_to(home)
    plan.home("voxels", "c").mkdir()
    assert of(status.survey(plan), "voxels").missing == ["b", "c", "v"]


def test_records_of_other_settings_and_datasets_are_not_taken(tmp_path: Path) -> None:
    plan = tiny_store.plan(tmp_path, **SCANS)
    put(tiny_store.plan(tmp_path, dataset="s3dis"), ("voxels", "scene0000_00"), seconds=1)
    put(tiny_store.plan(tmp_path, **SCANS, voxel_size=0.3), ("voxels", "a"), seconds=2)
    assert of(status.survey(plan), "voxels").entries is None
    stages = status.survey(plan)
    assert "`python -m pipeline estimate scannet`" in status.format_report(plan, stages, None)
    put(plan, ("voxels", "a"), seconds=3)
    assert of(status.survey(plan), "voxels").total("seconds") == 9


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"bytes": 1}', '{"bytes": 1, "seconds": NaN}', '{"bytes": -1, "seconds": 1}'],
)
def test_a_damaged_record_is_ignored(tmp_path: Path, text: str) -> None:
    plan = tiny_store.plan(tmp_path, **SCANS)
    put(plan, ("voxels", "a"), seconds=3)
    put(plan, ("voxels", "b"), size=2)
    (record,) = (tmp_path / "scannet" / "voxels").glob("*/.records/b@*")
    record.write_text(text)
    assert of(status.survey(plan), "voxels").total("seconds") == 6


def test_of_many_records_few_are_read_from_the_first_to_the_last(tmp_path: Path) -> None:
    plan = tiny_store.plan(tmp_path, [f"{number:03d}" for number in range(99)])
    for number in range(99):
        put(plan, ("voxels", f"{number:03d}"), seconds=number)
    seconds = [each.seconds for each in known.of_stage(plan, "voxels", most=10).values()]
    assert 5 <= len(seconds) <= 10
    assert seconds[0] == 0
    assert seconds[-1] > 85


def test_unknown_parts_of_a_sum_are_reported(tmp_path: Path) -> None:
    plan = tiny_store.plan(tmp_path, **SCANS)
    put(plan, ("voxels", "a"), size=10, seconds=20)
    last = status.table(status.survey(plan)).splitlines()[-1]
    assert "60.0 s + unknown" in last
    assert "30 B + unknown" in last


def test_scans_that_were_never_read_are_reported(tmp_path: Path) -> None:
    facts = tiny_store.facts(tmp_path, **SCANS)
    facts["raw_digests"] = {}
    plan = Plan(Facts.from_json(facts))
    stages = status.survey(plan)
    assert all(len(stage.missing) == stage.planned for stage in stages)
    assert "raw files of 4 of 4 scans were never read" in status.format_report(plan, stages, None)


def test_the_command_works_on_the_shipped_config_before_the_first_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SCAN_STORE", str(tmp_path / "store"))
    for dataset in ("demo", "scannet"):
        done = CliRunner().invoke(main, ["store", "status", dataset])
        assert done.exit_code == 0
        assert "unknown" in done.stdout
    done = CliRunner().invoke(main, ["store", "status", "nothing"])
    assert done.exit_code == 1
    assert "nothing" in done.stderr


def test_the_surveyed_plan_is_the_one_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SCAN_STORE", str(tmp_path / "store"))
    plan, fault = choice.planned("demo", config.CONFIG)
    run = config.plan("demo")
    assert fault is None
    assert plan.keys == run.keys
    assert {plan.home(*what) for what in plan.entries} == {run.home(*what) for what in run.entries}


def test_missing_weights_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SCAN_STORE", str(tmp_path / "store"))
    described = yaml.safe_load((ROOT / config.CONFIG).read_text())
    described["demo"]["embeddings"]["model"] = "local-dir:nowhere"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(described))
    plan, fault = choice.planned("demo", tmp_path / "config.yaml")
    assert fault
    assert fault in status.format_report(plan, status.survey(plan), fault)
