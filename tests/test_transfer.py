"""A network of one dataset is scored on scans of another, whose classes are given as text."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from model.data.labels import LabelledScan
from model.inference.unseen import voxelised
from model.network.device import device
from model.network.trained import load
from model.reports.transfer_report import Group, class_rows, write_report
from model.scoring.counting import confusion
from model.scoring.evaluate import evaluate_network
from model.scoring.results import as_result, restricted
from model.scoring.transfer import evaluate_transferred, predict_resized
from pipeline.errors import BadInput
from pipeline.jobs.transfer import report
from pipeline.plan import config, provenance
from pipeline.plan.making import make_plan
from pipeline.plan.transfer import Transfer
from pipeline.scan import Cloud
from pipeline.stages.voxels import Worker
from pipeline.store import arrays, entry, groups
from tests.helpers import tiny_clip, tiny_store
from tests.helpers.tiny_checkout import SCANS, Checkout
from tests.helpers.tiny_entries import CLASSES, VOXEL_SIZE
from tests.helpers.tiny_network import network

ROOT = Path(__file__).parent.parent
ASKED = [{"name": name, "prompts": [name]} for name in CLASSES]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("network")
    return network(folder, tiny_clip.write(folder / "clip"))


def cloud(seed: int, superpoints: bool = False) -> Cloud:
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(0, 1.5, (1500, 3)).astype(np.float32)
    rgb = rng.integers(0, 256, (len(xyz), 3)).astype(np.uint8)
    segment = (4 * xyz[:, 0]).astype(np.int32) if superpoints else np.full(len(xyz), -1, np.int32)
    return Cloud(xyz, rgb, np.zeros_like(xyz), segment)


def scans(
    folder: Path, classes: list[str], turned: bool = False, superpoints: bool = False
) -> list[LabelledScan]:
    """Two scans with random labels; if `turned`, the last class is where the first was."""
    folder.mkdir(exist_ok=True)
    found = []
    for seed in range(2):
        scan = LabelledScan(f"room{seed}", folder / f"{seed}.v.zip", folder / f"{seed}.l.zip")
        with groups.create(scan.voxels) as out:
            Worker({"voxel_size": VOXEL_SIZE})(out, cloud(seed, superpoints))
        label = np.random.default_rng(seed).integers(-1, len(classes), 1500)
        if turned:
            label = np.where(label >= 0, len(classes) - 1 - label, -1)
        with groups.create(scan.labels, {"classes": classes}) as out:
            arrays.write(out, "label", label.astype(np.int16))
        found.append(scan)
    return found


def test_with_its_own_classes_a_network_has_its_own_counts(trained: Path, tmp_path: Path) -> None:
    rooms = scans(tmp_path, CLASSES)
    own = evaluate_network(trained, rooms, "val")
    assert evaluate_transferred(trained, ASKED, rooms, "val") == own
    assert len(np.flatnonzero(np.sum(own[0]["total"][0], axis=0))) > 1, "all points have one class"


def test_votes_in_superpoints_are_counted_too_and_the_same(trained: Path, tmp_path: Path) -> None:
    rooms = scans(tmp_path, CLASSES, superpoints=True)
    found = evaluate_transferred(trained, ASKED, rooms, "val")
    assert [(r["row"], r["needs"]) for r in found] == [
        ("ess_esgs", []),
        ("ess_esgs_voted", ["superpoints"]),
    ]
    assert found == evaluate_network(trained, rooms, "val")
    assert found[0]["total"] != found[1]["total"]


def test_classes_in_another_order_have_the_same_counts_in_that_order(
    trained: Path, tmp_path: Path
) -> None:
    before = evaluate_transferred(trained, ASKED, scans(tmp_path / "a", CLASSES), "val")
    turned = scans(tmp_path / "b", CLASSES[::-1], turned=True)
    after = evaluate_transferred(trained, ASKED[::-1], turned, "val")
    counts, of_turned = (np.array(each[0]["total"])[0, :, :-1] for each in (before, after))
    np.testing.assert_array_equal(of_turned[::-1, ::-1], counts)


def test_points_are_put_into_the_networks_voxels_whatever_those_of_the_dataset(
    trained: Path,
) -> None:
    known = load(trained, device())
    labels = []
    for size in (0.03, VOXEL_SIZE, 0.4):
        found, voxels = predict_resized(known, voxelised(cloud(0), size))
        labels.append(found.label_of_points(voxels))
    np.testing.assert_array_equal(labels[0], labels[1])
    np.testing.assert_array_equal(labels[2], labels[1])


def test_a_network_without_a_text_tower_or_labels_of_other_classes_are_refused(
    trained: Path, tmp_path: Path
) -> None:
    rooms = scans(tmp_path, CLASSES)
    with pytest.raises(BadInput, match="trained with features that were made elsewhere"):
        evaluate_transferred(network(tmp_path, None, "esgs"), ASKED, rooms, "val")
    with pytest.raises(BadInput, match="labels of other classes"):
        evaluate_transferred(trained, ASKED[1:], rooms, "val")


@given(st.integers(0, 2**32 - 1), st.sets(st.sampled_from(CLASSES), min_size=1))
def test_on_some_classes_other_points_are_not_counted_and_other_predictions_are_misses(
    seed: int, kept: set[str]
) -> None:
    truth, label = np.random.default_rng(seed).integers(-1, len(CLASSES), (2, 60))
    counts = confusion(truth, label, len(CLASSES))
    result = {**as_result("esgs", "val", CLASSES, {"a": np.stack([counts, counts])}), "seed": 3}
    names = sorted(kept)
    number = {CLASSES.index(name): new for new, name in enumerate(names)}
    renamed = [np.array([number.get(k, -1) for k in each]) for each in (truth, label)]
    expected = confusion(renamed[0], renamed[1], len(names)).tolist()
    found = restricted(result, names)
    assert found["total"] == [expected, expected]
    assert found["classes"] == names
    assert found["seed"] == 3


SETS: dict[str, list[dict[str, Any]]] = {
    "homes": [{"name": "wall", "prompts": ["wall"]}, {"name": "bed", "prompts": ["bed", "cot"]}],
    "offices": [{"name": "board", "prompts": ["board"]}, {"name": "wall", "prompts": ["a wall"]}],
}


def test_classes_are_mapped_by_name_and_the_unmapped_are_listed() -> None:
    assert class_rows(SETS) == [
        ["wall", "wall", "mapped", "wall", "a wall"],
        ["bed", "-", "only in homes", "bed|cot", "-"],
        ["-", "board", "only in offices", "-", "board"],
    ]


def test_the_tables_have_the_networks_of_both_datasets_side_by_side(tmp_path: Path) -> None:
    names = [c["name"] for c in SETS["offices"]]
    groups = []
    for dataset, hits in (("homes", 1), ("offices", 3)):
        counts = np.array([[[hits, 4 - hits, 0], [0, 4, 0]]] * 2)
        whole = {**as_result("esgs", "val", names, {"a": counts}), "seed": 0, "selection": "s"}
        groups.append(Group(dataset, "offices", "all", [whole]))
        groups.append(Group(dataset, "offices", "common", [restricted(whole, ["wall"])]))
    text = write_report(tmp_path / "table", SETS, groups, {"offices": "s3dis"}, ["homes"])
    rows = [line.split() for line in text.splitlines() if line.startswith("(c)")]
    assert [row[2:6] for row in rows] == [
        ["homes", "all", "2", "41.1"],
        ["offices", "all", "2", "77.5"],
        ["homes", "common", "1", "100.0"],
        ["offices", "common", "1", "100.0"],
    ]
    assert "Simulated rooms (homes)" in text
    assert (tmp_path / "table.txt").read_text() == text
    table = (tmp_path / "table.csv").read_text()
    assert "homes,offices,all,esgs,val,points,s3dis,mIoU,,41.07" in table


def planned(monkeypatch: pytest.MonkeyPatch, store_: Path, **changed: Any) -> Transfer:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SCAN_STORE", str(store_))
    loaded = config.load()
    loaded["demo_s3dis"] = loaded["demo_s3dis"] | changed
    return Transfer(*(make_plan(name, loaded) for name in ("demo", "demo_s3dis")))


def test_tables_are_renamed_when_anything_they_depend_on_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = planned(monkeypatch, tmp_path)
    assert planned(monkeypatch, tmp_path).results == plain.results
    train = plain.plans[1].section["train"]
    for changed in (
        {"voxels": {"voxel_size": 0.09}},
        {"train": train | {"seeds": [1]}},
        {"classes": "data_manifest/scannet/classes.csv"},
    ):
        assert planned(monkeypatch, tmp_path, **changed).results != plain.results


def test_tables_are_renamed_by_an_edit_of_a_protocol(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = planned(monkeypatch, tmp_path).results
    true = provenance.meaning_digest
    edited = "model.scoring.protocols.openscene"
    monkeypatch.setattr(
        provenance, "meaning_digest", lambda m: "edited" if m == edited else true(m)
    )
    assert planned(monkeypatch, tmp_path).results != plain


def test_scores_of_own_networks_are_checked_before_they_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    transfer = planned(monkeypatch, tmp_path)
    assert (transfer.plans[1], ("evaluate", "esgs-0")) in transfer.entries
    for plan, what in transfer.entries:
        tiny_store.make(plan, what)
    home = transfer.plans[1].home("evaluate", "esgs-0")
    home.chmod(0o644)
    home.write_text(home.read_text().replace(", 39]", ", 38]"))
    with pytest.raises(entry.Damaged, match="checksum mismatch") as refused:
        report(transfer, tmp_path / "table.txt")
    assert refused.value.home == home


def test_no_label_of_a_training_scan_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    transfer = planned(monkeypatch, tmp_path)
    read = {name for _, (stage, name) in transfer.entries if stage == "labels"}
    assert read == {scan for plan in transfer.plans for scan in plan.splits["val"]}


class Pair(Checkout):
    target = "transfer_scannet"


def test_one_target_plans_both_datasets_and_a_table(tmp_path: Path) -> None:
    checkout = Pair(tmp_path / "tree")
    loaded = yaml.safe_load(checkout.config.read_text())
    loaded["scannet"]["scans_per_job"] = 1
    loaded["offices"] = loaded["scannet"] | {"classes": "data_manifest/s3dis/classes.csv"}
    loaded["transfer"] = {"scannet": "offices"}
    checkout.config.write_text(yaml.safe_dump(loaded))
    done = checkout.snakemake("-n")
    words = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    jobs = dict(line for line in words if len(line) == 2)
    for dataset in ("scannet", "offices"):
        assert jobs[f"{dataset}_train"] == "2"
        of_scans = [rule for rule in jobs if re.fullmatch(rf"{dataset}_frames_\d+", rule)]
        assert len(of_scans) == len(SCANS)
    assert jobs["transfer_scannet_tables"] == jobs["transfer_scannet"] == "1"
