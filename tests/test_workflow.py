"""The contract of the project: what a user runs is made once, and an edit re-runs what it touches.

Everything here goes through the real Snakefile, stages and trainer, on a tiny ScanNet download.
"""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from plyfile import PlyData

from tests.helpers.parsed_page import ParsedPage
from tests.helpers.tiny_checkout import SCANS, Checkout

ALL = {
    "frames", "voxels", "labels", "tags", "projections", "embeddings", "text", "targets",
    "pseudo_labels", "adapter", "refined_labels", "train", "evaluate", "report", "train_scannet",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("checkout") / "tree")
    assert checkout.stale() == ALL
    checkout.run()
    assert checkout.stale() == set(), "what has just been made is not to be made again"
    return checkout


def test_a_run_ends_with_a_table_as_text_json_and_csv(finished: Checkout) -> None:
    latest = finished.folder / "results" / "scannet" / "latest"
    table = json.loads((latest / "table.json").read_text())
    rows = {result["row"] for result in table["results"]}
    labels = {"pseudo_labels_open", "pseudo_labels", "refined_labels"}
    networks = {v + end for v in ("esgs", "ess_esgs") for end in ("", "_voted", "_2d", "_2d_voted")}
    assert rows == {"fused", "fused_voted"} | labels | networks
    assert "mIoU" in (latest / "table.txt").read_text()
    assert "mIoU" in (latest / "table.csv").read_text()


def test_a_run_ends_with_a_page_that_snakemake_takes_into_its_report(finished: Checkout) -> None:
    latest = finished.folder / "results" / "scannet" / "latest"
    content = (latest / "index.html").read_text()
    page = ParsedPage(content)
    assert page.headings[:2] == ["scannet", "Scores"]
    assert "scene0002_00" in page.headings, "the only scan that is scored"
    assert ["voxels.voxel_size", "0.1"] in [row for table in page.tables for row in table]
    assert page.outside == []
    assert json.loads((latest / "run.json").read_text())["costs"]
    written = finished.folder / "report.zip"
    done = finished.snakemake("--report", str(written))
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(written) as report:
        (held,) = (name for name in report.namelist() if name.endswith("/index.html"))
        assert report.read(held).decode() == content


def test_a_colleague_with_the_store_and_no_raw_data_has_nothing_to_run(
    finished: Checkout, tmp_path: Path
) -> None:
    colleague = Checkout(tmp_path / "tree")
    shutil.rmtree(colleague.raw)
    shutil.copytree(finished.folder / "store", colleague.folder / "store")
    assert colleague.stale() == {"report", "train_scannet"}, "only table and page are written anew"
    colleague.run()


def test_without_data_it_stops_before_any_job_and_says_what_to_do(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "tree")
    shutil.rmtree(checkout.raw)
    done = checkout.snakemake()
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "there is no scannet data here" in said
    assert "data_manifest/scannet/README.md" in said
    assert "Traceback" not in said
    assert not checkout.entries()


def test_an_unknown_key_in_the_config_is_named(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "tree")
    done = checkout.snakemake("-n", "--config", "stoer=elsewhere")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "the config: stoer: 'elsewhere' is not of type 'object'" in said
    assert "Traceback" not in said


def scramble_labels(checkout: Checkout) -> None:
    """Give every vertex of the training scans another, wrong label."""
    rng = np.random.default_rng(0)
    for scan, split in SCANS.items():
        if split == "train":
            path = checkout.raw / "scans" / scan / f"{scan}_vh_clean_2.labels.ply"
            mesh = PlyData.read(path, mmap=False)  # it is written over
            mesh["vertex"]["label"] = rng.integers(1, 41, len(mesh["vertex"]["label"]))
            mesh.write(path)


def test_dense_labels_of_the_training_scans_do_not_reach_the_network(tmp_path: Path) -> None:
    networks = []
    for name in ("true", "scrambled"):
        checkout = Checkout(tmp_path / name)
        rows = "".join(f"{scan},wall|floor|cabinet|table\n" for scan in SCANS)
        (checkout.folder / "tags.csv").write_text("scan,classes\n" + rows)
        config = yaml.safe_load(checkout.config.read_text())
        config["scannet"]["tags"] = {"source": "file", "file": "tags.csv"}
        checkout.config.write_text(yaml.safe_dump(config))
        if name == "scrambled":
            scramble_labels(checkout)
        checkout.run("--until", "scannet_train")
        networks.append({k: v for k, v in checkout.entries().items() if "/train/" in k})
    assert networks[0]
    assert networks[0] == networks[1]


def test_bad_scans_are_named_and_the_others_are_finished(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "tree")
    sens = checkout.raw / "scans" / "scene0000_00" / "scene0000_00.sens"
    sens.write_bytes(sens.read_bytes()[:-5000])
    done = checkout.snakemake("--keep-going")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    complaint = [line for line in said.splitlines() if "scene0000_00.sens:" in line]
    assert complaint, said
    assert "Traceback" not in said
    made = {name.partition("@")[0] for name in checkout.entries()}
    for stage in ("embeddings", "targets"):
        of_stage = {m.rpartition("/")[2] for m in made if f"/{stage}/" in m}
        assert of_stage == set(SCANS) - {"scene0000_00"}
    assert not any("/train/" in m for m in made)
    scored = {m.rpartition("/")[2] for m in made if "/evaluate/" in m}
    assert scored == {"fused"}, "it needs validation scans alone"
    assert "train of scannet: cannot be made without scene0000_00, which failed (frames of" in said
    assert not list((checkout.folder / "store").rglob(".partial-*"))
