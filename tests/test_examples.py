"""The scripts of docs/examples run as they are, and are short."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from plyfile import PlyData

from tests.helpers import tiny_clip, tiny_folders
from tests.helpers.room_frames import frames
from tests.helpers.tiny_entries import CLASSES, write_rooms
from tests.helpers.tiny_network import network
from tests.helpers.tiny_ply import points, write_ply

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs/examples"


def run(name: str, *arguments: object) -> str:
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ply(tmp_path_factory.mktemp("scan") / "room.ply", points())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("network")
    return network(folder, tiny_clip.write(folder / "clip"))


def test_a_ply_file_is_labelled(scan: Path, trained: Path, tmp_path: Path) -> None:
    said = run("label_ply.py", scan, trained, tmp_path / "out.ply")
    vertex = PlyData.read(str(tmp_path / "out.ply"))["vertex"]
    assert len(vertex["label"]) == 3000
    for number in np.unique(vertex["label"]):
        count = (vertex["label"] == number).sum()
        assert f"{CLASSES[number]}: {count:,} points, confidence 0." in said


def test_a_ply_file_is_asked_for_words(scan: Path, trained: Path) -> None:
    said = run("query_ply.py", scan, trained, "a chair")
    assert said.startswith("'a chair' fits best around x ")
    assert "% of points" in said


def test_what_a_2d_model_says_is_fused_over_an_own_scan(tmp_path: Path) -> None:
    tiny_folders.write_own(tmp_path / "walk", frames())
    said = run("fuse_own_scan.py", tmp_path / "walk", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as fused:
        seen = fused["views"] > 0
        assert seen.mean() > 0.5
        assert (fused["feature"][seen].max(axis=1) > 0).any()
        assert not fused["feature"][~seen].any()
    assert f"of {len(seen):,} points seen" in said


def test_an_entry_is_read(tmp_path: Path) -> None:
    room = write_rooms(tmp_path, [0])[0]
    said = run("read_entry.py", room.path("targets"))
    assert "feature: (" in said
    assert "mean agreement of views: " in said
    assert "voxel_size" in run("read_entry.py", room.path("voxels"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 30
