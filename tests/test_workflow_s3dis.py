"""All folds of a dataset in one command: six times the networks, and once all that is of a room."""

import re
import sys
from collections import Counter
from pathlib import Path
from shutil import copytree, ignore_patterns
from subprocess import run

import pytest
import yaml

from pipeline.plan import config
from pipeline.store import publish
from tests.helpers.tiny_checkout import PARTS, ROOT

AREAS = ["1", "2", "3", "4", "5", "6"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout of which only `demo_s3dis` is left, with a room in each area."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            copytree(ROOT / part, tmp_path / part, ignore=ignore_patterns("__pycache__"))
        else:
            (tmp_path / part).write_bytes((ROOT / part).read_bytes())
    rows = "".join(f"Area_{a}_x,{'val' if a == '5' else 'train'},{a},{a}\n" for a in AREAS)
    (tmp_path / "scans.csv").write_text("scan,split,area,seed\n" + rows)
    path = tmp_path / "workflow" / "config.yaml"
    described = yaml.safe_load(path.read_text())
    section = described["demo_s3dis"] | {"scans": "scans.csv", "scans_per_job": 1}
    path.write_text(yaml.safe_dump({"store": "store", "demo_s3dis": section}))
    return tmp_path


def planned(tree: Path, target: str) -> dict[str, int]:
    """Rule, less the number of its scan -> how many jobs of it `snakemake -n` plans."""
    command = [sys.executable, "-m", "snakemake", target, "-n", "--quiet", "rules"]
    done = run(command, cwd=tree, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    jobs: Counter[str] = Counter()
    table = said.rpartition("Job stats:")[2]  # which is said twice
    for rule, count in re.findall(r"^(\w+?)(?:_\d+)?\s+(\d+)$", table, re.M):
        jobs[rule] += int(count)
    return jobs


def test_six_folds_train_six_times_and_make_each_room_once(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = planned(tree, "sixfold_demo_s3dis")
    networks = {rule: count for rule, count in jobs.items() if rule.endswith("_train")}
    of_folds = [f"demo_s3dis_fold_{area}_train" for area in AREAS if area != "5"]
    assert networks == dict.fromkeys([*of_folds, "demo_s3dis_train"], 2)
    for stage in ("frames", "voxels", "labels", "projections", "targets", "pseudo_labels"):
        assert jobs[f"demo_s3dis_{stage}"] == len(AREAS)
    assert "train_demo_s3dis" not in jobs, "the table of the usual split is not asked for"

    monkeypatch.chdir(tree)
    plan = config.plan("demo_s3dis")
    for name in plan.entries:  # as a run of train_demo_s3dis leaves them
        with publish.place(plan.home(*name), None) as path:
            path.write_bytes(b"x")
    jobs = planned(tree, "sixfold_demo_s3dis")
    shared = {rule for rule in jobs if "_fold_" not in rule}
    tables = {"sixfold_demo_s3dis_tables", "sixfold_demo_s3dis"}  # the latter writes the page
    assert shared == {"total", *tables, "demo_s3dis_tags", "demo_s3dis_pseudo_labels"}
    assert jobs["demo_s3dis_pseudo_labels"] == 1


def test_the_usual_target_plans_no_fold(tree: Path) -> None:
    jobs = planned(tree, "train_demo_s3dis")
    assert jobs["demo_s3dis_train"] == 2
    assert jobs["demo_s3dis_pseudo_labels"] == len(AREAS) - 1
    assert not [rule for rule in jobs if "fold" in rule]
