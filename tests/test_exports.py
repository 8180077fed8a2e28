"""Predictions go out in the files of the benchmarks, with the scores of our tables."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from model.exports.files import read_ids, write_ids
from model.exports.formats import FORMATS
from model.reports.lines import grouped
from model.reports.report import text_report, write_report
from model.scoring import protocols
from model.scoring.counting import confusion
from model.scoring.evaluate import evaluate_network
from pipeline.cli.main import main
from pipeline.errors import BadInput
from pipeline.plan import config, manifest
from pipeline.readers.scannet.annotations import group_of_vertices, read_groups, read_segments
from pipeline.readers.scannet.files import scan_files
from pipeline.readers.scannet.ply import read_mesh
from tests.helpers.tiny_benchmark import (
    CLASSES,
    CLASSES_200,
    IDS_200,
    SCANS,
    VAL,
    labelled_scans,
    official_iou,
    write_download,
    write_network,
)

VALID_20 = [*range(1, 13), 14, 16, 24, 28, 33, 34, 36, 39]
VALID_200 = sorted(FORMATS["scannet200"].valid())


@pytest.fixture(scope="module")
def download(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("download")
    write_download(folder)
    write_network(folder / "net.safetensors", folder / "raw")
    write_network(folder / "net_200.safetensors", folder / "raw", CLASSES_200)
    return folder


def export(folder: Path, out: Path, *arguments: str, network: str = "net.safetensors") -> Result:
    """`python -m pipeline export rooms` with a network of the folder, and more arguments."""
    named = str(folder / network) if network.endswith(".safetensors") else network
    fixed = ["export", "rooms", "--config", str(folder / "config.yaml"), "--out", str(out)]
    return CliRunner().invoke(main, [*fixed, "--network", named, *arguments])


def exported(out: Path, split: str = "val") -> dict[str, np.ndarray]:
    """The ids that a plain reader finds, by scan."""
    files = (out / split).iterdir()
    return {p.stem: np.array(p.read_text().splitlines(), np.int64) for p in files}


def vertices(folder: Path, scan: str) -> int:
    return len(read_mesh(scan_files(folder / "raw", scan)["cloud"]["mesh"])[0])


def truth_20(folder: Path, scan: str) -> np.ndarray:
    """The NYU40 ids of the label mesh."""
    return read_mesh(scan_files(folder / "raw", scan)["labels"]["labels_mesh"])[0]["label"]


def truth_200(folder: Path, scan: str) -> np.ndarray:
    """The ids of the objects' raw categories in the label map, 0 for none."""
    files = scan_files(folder / "raw", scan)["labels"]
    objects = read_groups(files["aggregation"])
    of_object = np.array([*(IDS_200[each.raw_category] for each in objects), 0])
    return of_object[
        group_of_vertices(read_segments(files["segments"], vertices(folder, scan)), objects)
    ]


def test_each_vertex_of_val_and_test_scans_has_a_line_with_a_valid_id(
    download: Path, tmp_path: Path
) -> None:
    done = export(download, tmp_path)
    assert done.exit_code == 0, done.output
    for split in ("val", "test"):
        found, wanted = exported(tmp_path, split), [s for s, its in SCANS.items() if its == split]
        assert set(found) == set(wanted)
        for scan, ids in found.items():
            assert len(ids) == vertices(download, scan)
            assert set(ids.tolist()) <= set(VALID_20)
        with zipfile.ZipFile(tmp_path / f"{split}.zip") as archive:
            assert archive.namelist() == [f"{scan}.txt" for scan in wanted]  # in its root
            for name in archive.namelist():
                assert archive.read(name) == (tmp_path / split / name).read_bytes()
    assert not (tmp_path / "train").exists()


def test_points_are_all_that_a_scan_needs(download: Path, tmp_path: Path) -> None:
    copy = tmp_path / "download"
    shutil.copytree(download, copy)
    text = (copy / "config.yaml").read_text().replace(str(download), str(copy))
    (copy / "config.yaml").write_text(text)
    for path in copy.glob("raw/scans*/*/*"):
        if not path.name.endswith("_vh_clean_2.ply"):
            path.unlink()
    assert export(copy, tmp_path / "bare").exit_code == 0
    assert export(download, tmp_path / "whole").exit_code == 0
    for name in ("val.zip", "test.zip"):
        assert (tmp_path / "bare" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("votes", [False, True])
def test_the_official_score_of_exported_files_is_that_of_our_table(
    download: Path, tmp_path: Path, votes: bool
) -> None:
    assert export(download, tmp_path / "out", *["--votes"] * votes).exit_code == 0
    found = exported(tmp_path / "out")
    theirs = official_iou(((truth_20(download, s), found[s]) for s in VAL), VALID_20)

    classes = manifest.read_classes(CLASSES)
    scans = labelled_scans(download / "raw", tmp_path, classes)
    plain, voted = evaluate_network(download / "net.safetensors", scans, "val")
    result = voted if votes else plain
    counts = np.array(result["total"][0])
    ours = protocols.score("scannet_official", counts, result["classes"])
    np.testing.assert_array_equal(ours.iou, [theirs[row["nyu40"]] for row in classes])
    # wall, floor, cabinet and table are found; bed is predicted, and nowhere; the others neither
    known = {label: iou for label, iou in theirs.items() if not np.isnan(iou)}
    assert {label for label, iou in known.items() if iou > 0.01} == {1, 2, 3, 7}
    assert known.keys() == {1, 2, 3, 4, 7}
    assert ours.mean_iou == pytest.approx(np.mean([*known.values()]))


def test_scannet200_s_score_of_exported_files_is_that_of_our_table(
    download: Path, tmp_path: Path
) -> None:
    arguments = ["--format", "scannet200", "--config", str(download / "config_200.yaml")]
    done = export(download, tmp_path / "out", *arguments, network="net_200.safetensors")
    assert done.exit_code == 0, done.output
    found = exported(tmp_path / "out")
    theirs = official_iou(((truth_200(download, s), found[s]) for s in VAL), VALID_200)

    classes = manifest.read_classes(CLASSES_200)
    scans = labelled_scans(download / "raw", tmp_path, classes)
    result = evaluate_network(download / "net_200.safetensors", scans, "val")[0]
    counts, names = np.array(result["total"][0]), result["classes"]
    groups = {row["name"]: row["group"] for row in classes}
    ours = protocols.score("scannet200", counts, names, groups)
    np.testing.assert_array_equal(ours.iou, [theirs[row["label_id"]] for row in classes])
    assert {label for label, iou in theirs.items() if iou > 0.01} == {*IDS_200.values()}
    for group in ("head", "common", "tail"):
        of_group = [theirs[row["label_id"]] for row in classes if row["group"] == group]
        known = [iou for iou in of_group if not np.isnan(iou)]
        assert ours.groups[group] == pytest.approx(np.mean(known) if known else np.nan, nan_ok=True)


IDS = st.sampled_from([0, 13, 40, *VALID_20])


@given(st.lists(st.tuples(IDS, IDS), max_size=80))
def test_predictions_of_no_valid_id_count_against_their_class(pairs: list[tuple[int, int]]) -> None:
    truth, found = np.array(pairs, np.int64).reshape(-1, 2).T
    index = np.full(41, -1)
    index[VALID_20] = np.arange(20)
    ours = protocols.score("scannet_official", confusion(index[truth], index[found], 20), [""] * 20)
    theirs = official_iou([(truth, found)], VALID_20)
    np.testing.assert_array_equal(ours.iou, [theirs[label] for label in VALID_20])


def test_the_formats_know_the_ids_of_the_benchmarks() -> None:
    assert sorted(FORMATS["scannet"].valid()) == VALID_20
    assert len(VALID_200) == 200
    assert {2, 10, 1191} <= set(VALID_200)
    assert not {0, 12, 20, 25, 1177, 1192} & set(VALID_200)


def test_a_run_is_found_by_its_name_once_it_is_trained(download: Path, tmp_path: Path) -> None:
    missing = export(download, tmp_path / "none", network="ess_esgs-0")
    assert missing.exit_code == 1
    assert "there is no network ess_esgs-0 of this config and code; run: snakemake train_rooms" in (
        missing.output
    )
    link = config.plan("rooms", download / "config.yaml").link("train", "ess_esgs-0")
    link.parent.mkdir(parents=True)
    shutil.copy(download / "net.safetensors", link)
    assert export(download, tmp_path / "run", network="ess_esgs-0").exit_code == 0
    assert export(download, tmp_path / "file").exit_code == 0
    assert exported(tmp_path / "run").keys() == {*VAL}
    assert (tmp_path / "run/val.zip").read_bytes() == (tmp_path / "file/val.zip").read_bytes()


def test_bad_input_is_one_sentence(download: Path, tmp_path: Path) -> None:
    other = ["export", "halls", "--config", str(download / "config.yaml"), "--network", "esgs-0"]
    wide = ["--config", str(download / "config_200.yaml")]
    for done, said in (
        (export(download, tmp_path, network="esgs-7"), "'esgs-7': is no run of rooms; name one of"),
        (export(download, tmp_path, network="no.safetensors"), "no.safetensors: no such file"),
        (CliRunner().invoke(main, other), "halls: is read as s3dis, and the format scannet is of"),
        (export(download, tmp_path, "--format", "scannet200"), "has no label_id of the benchmark"),
        (export(download, tmp_path, *wide), "has no nyu40 of the benchmark"),
    ):
        assert done.exit_code == 1
        assert said in done.output
        assert done.output.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_scan_that_fails_holds_back_the_zip_of_its_split_and_nothing_else(
    download: Path, tmp_path: Path
) -> None:
    copy, out = tmp_path / "download", tmp_path / "out"
    shutil.copytree(download, copy)
    text = (copy / "config.yaml").read_text().replace(str(download), str(copy))
    (copy / "config.yaml").write_text(text)
    assert export(copy, out).exit_code == 0
    mesh = scan_files(copy / "raw", VAL[0])["cloud"]["mesh"]
    mesh.write_bytes(mesh.read_bytes()[:-5])
    done = export(copy, out)
    assert done.exit_code == 1
    assert f"val: 1 of 2 scans failed, so there is no {out / 'val.zip'}" in done.output
    assert f"{VAL[0]}: {mesh}" in done.output
    assert exported(out).keys() == {VAL[1]}  # nothing is left of the export before
    assert not (out / "val.zip").exists()
    assert (out / "test.zip").exists()


def test_files_that_the_benchmark_would_refuse_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "scene0000_00.txt"
    write_ids(path, np.array([1, 39, 2]))
    assert path.read_bytes() == b"1\n39\n2\n"
    assert read_ids(path, 3, VALID_20).tolist() == [1, 39, 2]
    for text, said in (
        ("1\n39\n", "has 2 lines for a mesh of 3 vertices"),
        ("1\n\n39\n", "no integers"),
        ("1\n2.5\n39\n", "no integers"),
        ("1\n40\n39\n", "has the id 40, which the benchmark does not know"),
    ):
        path.write_text(text)
        with pytest.raises(BadInput, match=said):
            read_ids(path, 3, VALID_20)


def test_another_label_set_leaves_every_entry_that_no_label_reaches(download: Path) -> None:
    plans = [config.plan("rooms", download / f"config{end}.yaml") for end in ("", "_200")]
    homes = [{entry: plan.home(*entry) for entry in plan.entries} for plan in plans]
    assert homes[0].keys() == homes[1].keys()
    same = {stage for stage, _ in homes[0]}
    changed = {entry[0] for entry in homes[0] if homes[0][entry] != homes[1][entry]}
    same -= changed
    assert same == {"frames", "voxels", "projections", "embeddings", "targets"}
    assert {"text", "labels", "tags", "pseudo_labels", "adapter", "train", "evaluate"} <= changed


def test_the_overlay_of_scannet200_changes_the_classes_and_where_links_and_tables_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(CLASSES.parents[2])
    base, wide = (config.load(Path("workflow", n)) for n in ("config.yaml", "scannet200.yaml"))
    assert wide["scannet"].pop("classes") == "data_manifest/scannet/classes_200.csv"
    base["scannet"].pop("classes")
    assert {key for key in wide if wide[key] != base.get(key)} == {"based_on", "work", "results"}


def test_the_table_of_scannet200_has_the_mean_of_each_group(tmp_path: Path) -> None:
    names, total = ["wall", "chair", "mug"], [[[3, 1, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]]] * 2
    result = {"row": "esgs", "split": "val", "needs": [], "classes": names, "seed": 0}
    result |= {"over": ["points", "voxels"], "total": total, "scans": {"a": total}}
    groups = {"wall": "head", "chair": "head", "mug": "tail"}
    text = write_report(grouped([result], groups), tmp_path / "table", "x", "scannet200")
    assert "mIoU by group of classes, over points" in text
    assert "all 3  head 2  tail 1" in text
    assert "47.2    70.8     0.0" in text
    rows = (tmp_path / "table.csv").read_text().splitlines()
    assert "esgs,val,points,scannet200,mIoU of head,,70.8333,0.0000,1" in rows
    empty = text_report(grouped([result], dict.fromkeys(names, "")), "x", "scannet200")
    assert "the column `group` of the classes is empty" in empty
    assert "scannet200" not in text_report(grouped([result], None), "x")
