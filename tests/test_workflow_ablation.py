"""One target for an ablation: what rows share runs once, and each row stands alone."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers import stand_ins
from tests.helpers.tiny_checkout import ABLATION, Checkout

TABLE = {"ablation_scannet_tables", "ablation_scannet"}  # the latter writes the page
LABELLED = ("pseudo_labels", "adapter", "refined_labels", "train", "evaluate")


class Rows(Checkout):
    target = "ablation_scannet"

    def set_rows(self, rows: Mapping[str, Any] | None) -> None:
        """Write other rows into the config."""
        described = yaml.safe_load(self.config.read_text())
        described["scannet"].pop("ablation", None)
        described["scannet"] |= {} if rows is None else {"ablation": rows}
        self.config.write_text(yaml.safe_dump(described, sort_keys=False))

    def planned(self) -> dict[str, int]:
        """Rule -> how many jobs of it `snakemake -n` plans."""
        done = self.snakemake("-n", "--quiet", "rules")
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        return {rule: int(count) for rule, count in re.findall(r"^(\w+)\s+(\d+)$", said, re.M)}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """A checkout whose store has stand-ins for all that the rows need."""
    checkout = Rows(tmp_path_factory.mktemp("checkout") / "tree")
    stand_ins.fill(checkout.folder, rows=True)
    return checkout


def test_what_rows_share_is_made_once(tmp_path: Path) -> None:
    jobs = Rows(tmp_path / "tree").planned()
    assert {name: count for name, count in jobs.items() if name.endswith("_train")} == {
        "scannet_train": 2,  # ess_esgs, and the esgs of "without ESS"
        "scannet_ablation_no_text_loss_train": 1,
        "scannet_ablation_sure_labels_train": 1,
        "scannet_ablation_sure_labels_longer_train": 1,
    }
    rules = {re.sub(r"_\d+$", "", name) for name in jobs}  # less the number of a batch
    assert {rule for rule in rules if rule.endswith("_pseudo_labels")} == {
        "scannet_pseudo_labels",
        "scannet_ablation_sure_labels_pseudo_labels",  # and of the longer training
    }
    assert {name: count for name, count in jobs.items() if name.endswith("_adapter")} == {
        "scannet_adapter": 1,
        "scannet_ablation_sure_labels_adapter": 1,
    }
    for stage in ("frames", "voxels", "embeddings", "targets"):
        assert {rule for rule in rules if rule.endswith(f"_{stage}")} == {f"scannet_{stage}"}
    assert {name for name in jobs if "without_ess" in name} == set()


def test_rows_are_not_planned_for_another_target(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "tree")
    assert not [rule for rule in checkout.stale() if "ablation" in rule]


@pytest.mark.parametrize(
    ("rows", "stale"),
    [
        (
            ABLATION | {"no text loss": {"train": {"loss": {"text": 2.0}}}},
            {"ablation_no_text_loss_train", "ablation_no_text_loss_evaluate"} | TABLE,
        ),
        (
            ABLATION | {"sure labels": {"targets": {"segments": 0.5}}},
            {f"ablation_sure_labels_{stage}" for stage in ("targets", *LABELLED)} | TABLE,
        ),
        (ABLATION | {"without ESS": {}}, TABLE),
        ({name: ABLATION[name] for name in [*ABLATION][1:]}, TABLE),
        ({f"the {name}": row for name, row in ABLATION.items()}, TABLE),
        (
            ABLATION | {"coarse": {"voxels": {"voxel_size": 0.2}}},
            {f"ablation_coarse_{s}" for s in ("voxels", "projections", "targets", *LABELLED)}
            | TABLE,
        ),
    ],
    ids=["loss", "labels", "a row like the dataset", "removed", "renamed", "added"],
)
def test_an_edit_of_a_row_runs_that_row_alone(
    filled: Rows, rows: Mapping[str, Any], stale: set[str]
) -> None:
    filled.set_rows(rows)
    try:
        assert filled.stale() == stale
    finally:
        filled.set_rows(ABLATION)


def test_after_all_edits_are_reverted_nothing_is_made_again(filled: Rows) -> None:
    assert filled.stale() == set()


def test_a_dataset_without_rows_has_no_such_target(tmp_path: Path) -> None:
    checkout = Rows(tmp_path / "tree")
    checkout.set_rows(None)
    done = checkout.snakemake("-n")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "No rule to produce ablation_scannet" in said
    assert "Traceback" not in said


def test_a_row_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    checkout = Rows(tmp_path / "tree")
    others = {"longer": {"train": {"optimiser": {"steps": 13}}}}
    checkout.set_rows({"one frame": {"frames": {"every": 1000}}, **others})
    done = checkout.snakemake("--keep-going")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "frames of scene0000_00: " in said, "its only frame is lost"
    assert "Traceback" not in said
    checkout.set_rows(others)
    assert checkout.stale() == TABLE, "all else is made"
    done = checkout.snakemake()
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "scannet: tables (txt, json, csv) of the 2 rows of the ablation" in said
    assert checkout.stale() == set()
    latest = checkout.folder / "results" / "scannet" / "ablation" / "latest"
    rows = json.loads((latest / "table.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["as configured", "longer"]
    assert rows[1]["changes"] == ["train.optimiser.steps = 13"]
    assert {r["row"] for row in rows for r in row["results"]} >= {"ess_esgs"}
    assert "longer" in (latest / "table.txt").read_text()
