"""The viewer of a finished run shows what the store has of a scan."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from model.network.trained import load
from model.viewer.pack import pack
from model.viewer.sources import FUSED, TRUTH, view_of_run
from pipeline.errors import BadInput
from pipeline.plan.plan import Plan
from pipeline.store import entry
from tests.helpers.tiny_entries import CLASSES, Room, write_rooms, write_text
from tests.helpers.tiny_network import network

RUNS = ("esgs-0", "ess_esgs-0", "supervised-0")


class Finished:
    """A run on a toy room: only what the viewer asks of a plan."""

    dataset, path = "toy", Path("work/toy/plan.json")

    def __init__(self, folder: Path, runs: tuple[str, ...] = RUNS) -> None:
        self.folder, self.room = folder, write_rooms(folder, [0])[0]
        self.text = write_text(folder)
        for run in runs:
            made = network(folder, None, run.partition("-")[0])
            path = folder / f"{run}.safetensors"
            replace(load(made, torch.device("cpu")), entry=entry.identity(path)).save(path)
        colors = {"name": "chair", "color": "#bcbd22"}
        self.facts = SimpleNamespace(
            splits={"train": ["other"], "val": [self.room.scan]},
            scans=["other", self.room.scan],
            networks=list(RUNS),
            imported={},
            classes=[colors],
            trainer=lambda run: "supervised" if run.startswith("supervised") else "train",
        )

    def home(self, stage: str, name: str) -> Path:
        if stage == "text":
            return self.text
        if stage in ("train", "supervised"):
            return self.folder / f"{name}.safetensors"
        return Room(name, self.folder).path(stage)

    def as_plan(self) -> Plan:
        return cast(Any, self)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return Finished(tmp_path_factory.mktemp("run"))


def test_all_layers_of_the_first_held_out_scan_are_shown(finished: Finished) -> None:
    view = view_of_run(finished.as_plan(), None)
    assert view.title == f"toy: {finished.room.scan}"
    assert [labels.name for labels in view.labels] == [TRUTH, FUSED, *RUNS]
    assert [answering.name for answering in view.networks] == ["esgs-0", "ess_esgs-0"]
    truth, voxel_of_point = finished.room.labelled.ground_truth()
    np.testing.assert_array_equal(view.labels[0].label, truth)
    assert (view.labels[1].label == -1).any(), "no frame sees some points"
    assert view.labels[0].colors[CLASSES.index("chair")].tolist() == [0xBC, 0xBD, 0x22]
    meta = pack(view).meta
    assert meta["panels"] == [0, 1, 4], "colour, ground truth, ESS + ESGS"
    assert meta["ask"] == 1, "ESS + ESGS"
    assert len(meta["palettes"]) == 1
    assert len(truth) == len(voxel_of_point) == len(view.xyz)


def test_only_the_networks_that_are_named_are_shown(finished: Finished) -> None:
    view = view_of_run(finished.as_plan(), finished.room.scan, ["esgs-0"])
    assert [labels.name for labels in view.labels] == [TRUTH, FUSED, "esgs-0"]


def test_what_the_store_does_not_have_is_left_out_and_said(tmp_path: Path) -> None:
    run = Finished(tmp_path, runs=("esgs-0",))
    for stage in ("labels", "targets"):
        run.room.path(stage).unlink()
    view = view_of_run(run.as_plan(), None)
    assert [labels.name for labels in view.labels] == ["esgs-0"]
    assert "The store has no network ess_esgs-0." in view.notes
    run.room.path("voxels").unlink()
    with pytest.raises(BadInput, match=r"the store has no points of .*; run snakemake train_toy"):
        view_of_run(run.as_plan(), None)


@pytest.mark.parametrize(
    ("scan", "runs", "said"),
    [
        ("scene", (), r"has no scan 'scene'; name one of other, "),
        (None, ("esgs-7",), r"has no network 'esgs-7'; name one of esgs-0, ess_esgs-0, "),
    ],
)
def test_unknown_names_are_refused_with_those_that_there_are(
    scan: str | None, runs: tuple[str, ...], said: str, finished: Finished
) -> None:
    with pytest.raises(BadInput, match=said):
        view_of_run(finished.as_plan(), scan, runs)
