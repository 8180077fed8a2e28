"""Scans of one's own: folders go in, labelled clouds come out, and no label is needed or read."""

import csv
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plyfile import PlyData

from model.inference.ply import read_comments
from model.reports.summary import ScanSummary, text_summary, write_summary
from pipeline.errors import BadInput
from pipeline.estimate import choice
from pipeline.facts import Facts
from pipeline.look import sample
from pipeline.plan import config, graph
from pipeline.plan.manifest import read_classes
from pipeline.plan.plan import Plan
from pipeline.plan.rawdata import require_scans, scene_tags
from pipeline.readers.folder.files import find_scans, read_own_tags
from pipeline.store import groups
from tests.helpers import tiny_store
from tests.helpers.room_frames import frames, put
from tests.helpers.tiny_folders import LAYOUTS, write_own
from tests.helpers.tiny_own_scans import SCANS, OwnScans

ROOT = Path(__file__).parent.parent
CLASSES = read_classes(ROOT / "data_manifest/scannet/classes.csv")
NAMES = [each["name"] for each in CLASSES]
TAGS = {"walk": ["wall", "table"]}


# The whole workflow


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[OwnScans, subprocess.CompletedProcess]:
    checkout = OwnScans(tmp_path_factory.mktemp("checkout") / "tree")
    for scan, names in TAGS.items():
        put(checkout.raw / scan / "tags.txt", "\n".join(names))
    put(checkout.raw / "holiday/beach.jpg", b"no scan")
    done = checkout.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout, done


@pytest.fixture(scope="module")
def latest(ran: tuple[OwnScans, Any]) -> Path:
    return ran[0].folder / "results" / "folder" / "latest"


@pytest.mark.parametrize("scan", SCANS)
def test_each_scan_gets_a_labelled_cloud(scan: str, latest: Path) -> None:
    vertex = PlyData.read(str(latest / scan / "labels.ply"))["vertex"]
    assert set(vertex["label"]) <= set(range(len(NAMES)))
    assert ((vertex["confidence"] > 0) & (vertex["confidence"] <= 1)).all()
    assert vertex["segment"].min() == 0
    legend = {c["name"]: c["color"] for c in read_comments(latest / scan / "labels.ply")}
    assert legend == {c["name"]: c["color"] for c in CLASSES}


def test_the_table_has_what_was_seen_and_predicted(latest: Path) -> None:
    scans = json.loads((latest / "table.json").read_text())["scans"]
    assert [scan["scan"] for scan in scans] == list(SCANS)
    for scan in scans:
        vertex = PlyData.read(str(latest / scan["scan"] / "labels.ply"))["vertex"]
        assert scan["points"] == len(vertex["label"])
        assert scan["frames"] == 3, "one of four has lost its pose"
        (shares,) = scan["classes"].values()
        assert sum(shares.values()) == pytest.approx(1)
        assert 0 < scan["seen"] <= 1
    assert "nothing is scored" in (latest / "table.txt").read_text()


def test_a_folder_that_is_no_scan_is_told_in_one_sentence_and_left_out(
    ran: tuple[OwnScans, subprocess.CompletedProcess], latest: Path
) -> None:
    told = [line for line in ran[1].stderr.splitlines() if "left out" in line]
    assert len(told) == 1
    assert "data/folder/holiday: contains beach.jpg" in told[0]
    assert "data/folder/holiday: contains beach.jpg" in (latest / "table.txt").read_text()


def test_no_label_is_an_entry_and_tags_restrict_the_pseudo_labels(
    ran: tuple[OwnScans, Any],
) -> None:
    homes = [ran[0].folder / "store" / name for name in ran[0].entries()]
    assert {home.parents[1].name for home in homes} == {
        *("frames", "voxels", "tags", "projections", "embeddings", "text", "targets"),
        *("pseudo_labels", "train"),
    }
    labels = {
        home.name.partition("@")[0]: np.asarray(groups.read(home)["label"])
        for home in homes
        if home.parents[1].name == "pseudo_labels"
    }
    for scan, names in TAGS.items():
        allowed = {NAMES.index(name) for name in names}
        assert set(labels[scan][labels[scan] >= 0]) <= allowed
    assert (labels["cafe"] >= 0).any()


def test_what_was_labelled_is_not_labelled_again_until_something_changes(
    ran: tuple[OwnScans, Any],
) -> None:
    assert ran[0].stale() == set()
    put(ran[0].raw / "cafe/tags.txt", "floor")
    stale = {"tags", "pseudo_labels", "train", "clouds", "report", "train_folder"}
    assert ran[0].stale() == stale
    (ran[0].raw / "cafe/tags.txt").unlink()


# Which scans there are, and what is in them


def test_each_folder_is_a_scan_and_others_are_named(tmp_path: Path) -> None:
    for scan in ("b", "a", "has space"):
        write_own(tmp_path / scan, frames(2))
    put(tmp_path / ".hidden/x", "")
    put(tmp_path / "notes.txt", "")
    found, faults = find_scans(tmp_path)
    assert found == ["a", "b"]
    assert len(faults) == 1
    assert "'has space': is not a scan name" in faults[0]
    assert find_scans(tmp_path / "nowhere") == ([], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [("wall\nflor\n", "'flor'"), ("\n", "names no class"), (b"\xff\xff", "is not a text file")],
)
def test_tags_that_cannot_be_read_are_named(text: str | bytes, said: str, tmp_path: Path) -> None:
    put(tmp_path / "a/tags.txt", text)
    with pytest.raises(BadInput, match=said) as told:
        read_own_tags(tmp_path, ["a"], NAMES)
    assert "a/tags.txt" in str(told.value)


def test_a_line_of_the_tag_file_counts_before_tags_in_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "a/tags.txt", "wall|floor\n\n")
    put(tmp_path / "b/tags.txt", "bed\nsofa\n")
    put(tmp_path / "tags.csv", "scan,classes\nb,door\nc,desk\n")
    section = {"reader": "folder", "raw": str(tmp_path), "tags": {"source": "none"}}
    own = {"a": ["wall", "floor"], "b": ["bed", "sofa"]}
    assert scene_tags(section, "abc", CLASSES) == own | {"c": NAMES}
    section["tags"] = {"source": "file", "file": str(tmp_path / "tags.csv")}
    assert scene_tags(section, "abc", CLASSES) == own | {"b": ["door"], "c": ["desk"]}
    section = {"reader": "folder", "raw": str(tmp_path / "none"), "tags": {"source": "none"}}
    assert scene_tags(section, "abc", CLASSES) is None


# Plans without a split, or without labels


def plan_of(folder: Path, old: str = "", new: str = "") -> Plan:
    """The plan of the dataset `folder` whose scans lie in `folder`, with an edit of the config."""
    text = (ROOT / config.CONFIG).read_text().replace("raw: data/folder", f"raw: {folder}")
    assert old in text
    path = folder.parent / "config.yaml"
    path.write_text(text.replace(old, new))
    return config.plan("folder", path)


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SCAN_STORE", str(tmp_path / "store"))
    write_own(tmp_path / "raw" / "a", frames(2))
    LAYOUTS["3dmatch"].write(tmp_path / "raw" / "b", frames(2))
    return tmp_path / "raw"


def test_without_a_csv_file_all_folders_are_trained_on_and_labelled(raw: Path) -> None:
    plan = plan_of(raw)
    assert plan.splits == {"train": ["a", "b"], "val": []}
    assert plan.facts.scans == ["a", "b"]
    unused = {"labels", "supervised", "evaluate", "clouds"}
    assert not {stage for stage, _ in plan.entries} & unused
    assert graph.stage("tags").params(plan.facts)["source"] == "none"
    labelled = {str(path.relative_to(plan.clouds)) for path in plan.cloud_files()}
    assert labelled == {"a/labels.ply", "b/labels.ply"}


def test_scans_that_are_held_out_are_labelled_but_not_trained_on(raw: Path) -> None:
    (raw.parent / "scans.csv").write_text("scan,split\na,train\nb,val\n")
    plan = plan_of(raw, "reader: folder", f"reader: folder\n  scans: {raw.parent}/scans.csv")
    assert [path.parent.name for path in plan.cloud_files()] == ["a", "b"]
    assert {name for stage, name in plan.entries if stage == "targets"} == {"a"}
    assert {name for stage, name in plan.entries if stage == "projections"} == {"a", "b"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("optimiser: {steps: 1000}", "optimiser: {steps: 1001}"),
        ("every: 1 # of a video", "every: 2 # of a video"),
        ("variants: [ess_esgs]\n", "variants: [ess_esgs]\n    loss: {text: 0}\n"),
    ],
)
def test_results_have_another_folder_when_a_setting_changes(raw: Path, old: str, new: str) -> None:
    assert plan_of(raw, old, new).results != plan_of(raw).results


def test_results_have_another_folder_when_a_scan_changes(raw: Path) -> None:
    before = plan_of(raw).results
    assert plan_of(raw).results == before
    put(raw / "holiday/beach.jpg", b"no scan")
    told = plan_of(raw).results
    assert told != before, "the table names what is left out"
    put(raw / "a/color/00000.jpg", frames(2)[1].color)
    assert plan_of(raw).results not in (before, told)


def test_of_several_networks_each_has_a_cloud_of_its_own(raw: Path) -> None:
    plan = plan_of(raw, "variants: [ess_esgs]\n", "variants: [ess_esgs, esgs]\n    seeds: [0, 3]\n")
    runs = ("ess_esgs-0", "ess_esgs-3", "esgs-0", "esgs-3")
    assert plan.facts.clouds == {f"labels_{run}": run for run in runs}
    assert {plan.facts.trainer(run) for run in runs} == {"train"}


def test_networks_from_elsewhere_label_scans_beside_its_own(raw: Path) -> None:
    given = "networks: {shipped: data_manifest/demo/network/ess_esgs.safetensors}"
    plan = plan_of(raw, "reader: folder", f"reader: folder\n  {given}")
    assert plan.facts.clouds == {"labels_ess_esgs-0": "ess_esgs-0", "labels_shipped": "shipped"}
    for stage in ("clouds", "page"):
        assert ("imported", "shipped") in graph.stage(stage).sources(plan.facts, "a")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "variants: [ess_esgs]\n",
            "variants: [ess_esgs, supervised]\n",
            "no dense labels to teach it",
        ),
        ("tags: {source: none}", "tags: {source: dense}", "has no dense labels"),
    ],
)
def test_what_needs_labels_is_refused_in_one_sentence(
    old: str, new: str, said: str, raw: Path
) -> None:
    with pytest.raises(BadInput, match=said) as told:
        plan_of(raw, old, new)
    assert "\n" not in str(told.value)


def test_a_folder_without_scans_is_told_with_what_to_do(raw: Path) -> None:
    (raw.parent / "empty").mkdir()
    path = raw.parent / "config.yaml"
    with pytest.raises(BadInput, match=r"contains no scan; put each scan .*folder/README\.md"):
        plan_of(raw.parent / "empty")
    plan = plan_of(raw.parent / "absent")
    for look in (lambda: choice.planned("folder", path), lambda: sample.take(plan, None, 1)):
        with pytest.raises(BadInput, match="absent: is not a folder; put each scan"):
            look()


def test_an_empty_split_is_told_or_labelled(tmp_path: Path) -> None:
    facts = tiny_store.facts(tmp_path, train=(), val=("v",))
    facts["section"]["scans"] = "scans.csv"
    with pytest.raises(BadInput, match=r"scans\.csv: names no scan to train on"):
        require_scans(Facts.from_json(facts))
    plan = tiny_store.plan(tmp_path, train=("t",), val=())
    assert not plan.facts.scored
    assert plan.facts.scores == []
    assert {name for stage, name in plan.entries if stage == "train"} == {"esgs-0"}
    assert plan.results.parent == Path("results/scannet")


# The table


def test_the_table_lists_the_most_frequent_classes_first(tmp_path: Path) -> None:
    shares = {"esgs-0": {"wall": 0.25, "floor": 0.75}}
    scan = ScanSummary("a", "train", 12000, 800, 40, 0.5, shares)
    held_out = replace(scan, scan="b", split="val", seen=0.999)
    lines = text_summary([scan, held_out], "mine", ["A note."]).splitlines()
    assert "A note." in lines
    assert "a     train  12,000     800      40    50.0" in lines
    assert "b     val    12,000     800      40    99.9" in lines
    assert "a     esgs-0   floor 75.0, wall 25.0" in lines
    write_summary([scan], tmp_path / "table", "mine")
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = {(r["scan"], r["what"], r["class"]): r["value"] for r in csv.DictReader(file)}
    assert rows["a", "points", ""] == "12000"
    assert float(rows["a", "share", "floor"]) == 0.75
    assert json.loads((tmp_path / "table.json").read_text())["scans"][0]["seen"] == 0.5
