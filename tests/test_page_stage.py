"""The stage `page` shows the scans that matter, and reads nothing but what it declares."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.pages.scans import picked, ranked
from model.scoring import counting
from model.scoring.evaluate import evaluate_network
from model.stages.page import PageStage, Worker, judged
from pipeline.facts import Facts
from pipeline.jobs import pages
from pipeline.plan import config, graph
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import ONLY, Request
from tests.helpers import scored, tiny_network
from tests.helpers.parsed_page import ParsedPage
from tests.helpers.tiny_entries import CLASSES, write_room, write_text

SCANS = {"train": ["room0"], "val": ["room1", "room2", "room3", "room4"]}

ALL = [*SCANS["train"], *SCANS["val"]]


def facts(**changes: Any) -> Facts:
    known: dict[str, Any] = {
        "dataset": "rooms",
        "store": "store",
        "work": "work",
        "results": "results",
        "section": {"train": {"variants": ["ess_esgs", "supervised"], "seeds": [0, 1]}},
        "splits": SCANS,
        "classes": [{"name": name} for name in CLASSES],
        "protocol": "scannet_official",
        "has_labels": True,
        "raw_digests": {scan: {"labels": "x"} for scans in SCANS.values() for scan in scans},
    }
    return Facts(**(known | changes))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[str, str], Path]]:
    """A folder, and the inputs of the stage: rooms, networks and a table."""
    folder = tmp_path_factory.mktemp("rooms")
    rooms = {s: write_room(folder, s, n) for n, s in enumerate(ALL)}
    text = write_text(folder)
    network = tiny_network.network(folder, None)
    bound = tiny_network.network(folder, None, "supervised")
    val = [rooms[scan].labelled for scan in SCANS["val"]]
    targets = [rooms[scan].path("targets") for scan in SCANS["val"]]
    learnt = rooms["room0"]
    seen, found = [learnt.path("targets")], [learnt.path("pseudo_labels")]
    results = [
        *counting.count_fused(val, targets, text, "val"),
        counting.count_pseudo_labels([learnt.labelled], seen, found, "train", True),
        *evaluate_network(network, val, "val"),
    ]
    table = folder / "table.json"
    table.write_text(json.dumps(scored.table() | {"results": results}))
    inputs: dict[tuple[str, str], Path] = {("report", ONLY): table, ("text", ONLY): text}
    for stage in ("voxels", "labels", "targets", "pseudo_labels"):
        inputs |= {(stage, scan): room.path(stage) for scan, room in rooms.items()}
    inputs |= {("train", f"ess_esgs-{seed}"): network for seed in (0, 1)}
    inputs |= {("supervised", f"supervised-{seed}"): bound for seed in (0, 1)}
    return folder, inputs


def page_of(
    of: Facts, inputs: dict[tuple[str, str], Path], folder: Path, asked: dict[str, Any]
) -> ParsedPage:
    stage, path = PageStage(), folder / "index.html"
    declared = {source: inputs[source] for source in stage.sources(of, ONLY)}
    Worker(stage.params(of))(path, Request(of, ONLY, "", declared, folder), asked)
    return ParsedPage(path.read_text())


def test_the_best_the_median_and_the_worst_scan_are_shown_and_one_that_was_learnt(
    made: tuple[Path, dict[tuple[str, str], Path]],
) -> None:
    folder, inputs = made
    page = page_of(facts(), inputs, folder, scored.asked())
    table = json.loads(inputs["report", ONLY].read_text())
    network = next(r for r in table["results"] if r["row"] == "ess_esgs")
    order = [scan for _, scan in ranked(network, "scannet_official")]
    shown = [heading for heading in page.headings if heading.startswith("room") and heading[4:]]
    assert [s for s in shown if s in ALL] == [
        order[0],
        order[2],
        order[3],
        "room0",
    ]
    assert "by ess_esgs-0" in page.text
    captions = ["input colour", "ground truth", "fused 2D", "(d) ESS+ESGS", "right and wrong"]
    assert all(page.text.count(caption) >= 4 for caption in captions)
    assert page.elements.count("figure") == 3 * 5 + 6, "the scan learnt has pseudo-labels too"
    assert page.text.count("pseudo-labels ") >= 1
    assert page.outside == []


def test_scans_without_labels_are_shown_with_what_networks_find(
    made: tuple[Path, dict[tuple[str, str], Path]],
) -> None:
    folder, inputs = made
    summary = folder / "summary.json"
    summary.write_text(json.dumps({"title": "mine", "notes": [], "scans": []}))
    section = {"train": {"variants": ["ess_esgs"], "seeds": [0]}}
    own = facts(has_labels=False, splits={"train": ["room0"], "val": []}, section=section)
    page = page_of(own, inputs | {("report", ONLY): summary}, folder, scored.asked())
    assert page.elements.count("figure") == 2, "its colours, and the classes of the network"
    assert "ground truth" not in page.text
    assert "right and wrong" not in page.text.lower()


def test_what_the_page_reads_of_a_dataset_is_made_for_its_tables_already() -> None:
    for dataset in ("demo", "scannet", "s3dis", "demo_s3dis"):
        plan = config.plan(dataset, wanted=False)
        read = {source for source in plan.inputs("page", ONLY) if source[0] != "report"}
        assert read <= set(plan.entries), dataset


def test_without_labels_the_page_reads_none() -> None:
    own = facts(has_labels=False, splits={"train": ["room0"], "val": []})
    read = {stage for stage, _ in PageStage().sources(own, ONLY)}
    assert read == {"report", "train", "supervised", "voxels"}


def test_scans_are_judged_by_the_last_network_without_dense_labels() -> None:
    assert judged(facts()) == "ess_esgs-0"
    only = {"train": {"variants": ["supervised"], "seeds": [3]}}
    assert judged(facts(section=only)) == "supervised-3"


def test_few_scans_are_shown_once_each() -> None:
    assert list(picked([(5.0, "a")])) == ["a"]
    assert list(picked([(5.0, "a"), (3.0, "b")])) == ["a", "b"]
    assert picked([]) == {}
    found = picked([(9.0, "x"), (5.0, "y"), (1.0, "z")])
    assert found == {
        "x": "best of 3: mIoU 9.0",
        "y": "median of 3: mIoU 5.0",
        "z": "worst of 3: mIoU 1.0",
    }


def test_a_scan_without_any_class_has_no_place() -> None:
    result = scored.result("fused", 5)
    result["scans"]["b"] = np.zeros_like(result["scans"]["b"]).tolist()
    assert [scan for _, scan in ranked(result, "scannet_official")] == ["c", "a"]


def test_scans_of_folds_are_shown_with_networks_that_were_not_trained_on_them(
    made: tuple[Path, dict[tuple[str, str], Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, inputs = made
    stages = graph.stages(facts())
    areas = {scan: str(number % 2) for number, scan in enumerate(SCANS["val"])}
    splits = {"train": [], "val": SCANS["val"]}
    section = config.load()["demo_s3dis"] | {"networks": {}}
    section["train"] |= facts().section["train"]
    plan = Plan(
        facts(section=section, areas=areas, splits=splits, keys=dict.fromkeys(stages, "0" * 12))
    )
    read: list[tuple[str | None, str]] = []

    def home(fold: Plan, stage: str, name: str) -> Path:
        read.append((fold.facts.fold, name))
        assert stage not in ("train", "supervised") or fold.facts.fold
        return inputs[stage, name]

    monkeypatch.setattr(Plan, "home", home)
    monkeypatch.setattr(pages, "sound", lambda homes: nullcontext(list(homes)))
    table = json.loads(inputs["report", ONLY].read_text())
    scored_ones = [r for r in table["results"] if r["split"] == "val"]
    table["results"] = [result | {"split": "held-out"} for result in scored_ones]
    page = ParsedPage(pages._of_folds(plan, table, scored.asked()))
    shown = {fold: name for fold, name in read if name in ALL}
    assert {fold: areas[name] for fold, name in shown.items()} == {"fold_0": "0", "fold_1": "1"}
    assert page.elements.count("figure") == 3 * 5
    assert page.outside == []
