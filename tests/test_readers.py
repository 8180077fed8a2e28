"""Readers are found by name and by the folder of a scan, and state what is special to them."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from pipeline import readers
from pipeline.errors import BadInput
from pipeline.simulate.s3dis_files import write_room
from pipeline.simulate.scannet_files import write_scan
from tests.helpers import tiny_s3dis
from tests.helpers.room_frames import frames
from tests.helpers.tiny_folders import write_own
from tests.helpers.tiny_scannet import scan


def test_the_names_are_those_of_the_packages_with_raw_files() -> None:
    assert readers.names() == ["folder", "s3dis", "scannet"]


@pytest.mark.parametrize("reader", readers.names())
def test_every_reader_has_what_the_contract_says(reader: str) -> None:
    files, frames, cloud, labels = (readers.load(reader, group) for group in readers.GROUPS)
    assert isinstance(files.KIND, str)
    assert isinstance(files.HAS_LABELS, bool)
    assert (files.PROTOCOL is not None) == files.HAS_LABELS
    for name in ("scan_files", "check", "recognise"):
        assert callable(getattr(files, name))
    assert callable(frames.open_frames)
    assert callable(cloud.read_cloud)
    assert callable(labels.read_labels)
    if files.SIMULATOR:
        assert callable(import_module(files.SIMULATOR).simulate_scan)
    if points := getattr(files, "POINTS_ONLY", None):
        assert callable(import_module(points).read_points_only)


def test_an_unknown_reader_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="'matterport': is unknown; use one of folder, s3dis, sc"):
        readers.module_name("matterport", "files")


def test_a_reader_in_one_module_has_all_groups_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.py").write_text("def scan_files(raw, scan):\n    return {}\n")
    (tmp_path / "helper.py").write_text("def anything():\n    return {}\n")
    monkeypatch.setattr(readers, "FOLDER", tmp_path)
    assert readers.names() == ["tiny"]
    for group in readers.GROUPS:
        assert readers.module_name("tiny", group) == "pipeline.readers.tiny"


def test_scans_are_recognised_by_their_folders(tmp_path: Path) -> None:
    write_scan(tmp_path / "scans", scan("scene9000_00"))
    write_scan(tmp_path / "elsewhere", scan("scene9001_00"))
    write_room(tmp_path, tiny_s3dis.room())
    write_own(tmp_path / "walk", frames(2))
    (area,) = tmp_path.glob("*/Area_1")
    found = {
        path: readers.recognise(path)
        for path in (
            tmp_path / "scans/scene9000_00",
            tmp_path / "elsewhere/scene9001_00",
            area / "office_1",
            tmp_path / "walk",
            tmp_path / "none",
        )
    }
    assert list(found.values()) == [
        ("scannet", tmp_path, "scene9000_00"),
        ("scannet", tmp_path / "elsewhere", "scene9001_00"),
        ("s3dis", tmp_path, "Area_1_office_1"),
        ("folder", tmp_path, "walk"),
        None,
    ]
    for each in found.values():
        if each is not None:
            assert readers.load(each.reader, "files").scan_files(each.raw, each.scan)["cloud"]


def test_the_package_is_light() -> None:

    code = "import sys, pipeline.readers as r; r.names(); assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
