"""The files of a scan in a folder, and the error where a folder is not a scan."""

from pathlib import Path

import pytest

from pipeline.errors import BadInput
from pipeline.readers.folder.files import CLOUD, check, scan_files
from pipeline.readers.folder.frames import open_frames
from pipeline.readers.folder.layouts import LAYOUTS as KNOWN
from pipeline.readers.folder.layouts import find_layout, titles
from pipeline.readers.folder.values import read_intrinsics
from tests.helpers.room_frames import frames, put
from tests.helpers.tiny_folders import LAYOUTS, write_exr, write_own, write_r3d, write_three_d_match


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_matches_exactly_one_layout_and_all_its_files(tmp_path: Path, name: str) -> None:
    LAYOUTS[name].write(tmp_path / "scan", frames(2))
    files = scan_files(tmp_path, "scan")["frames"]
    found = find_layout(files)
    assert found is not None
    assert [layout.NAME for layout in KNOWN if layout.select(files)] == [found[0].NAME]
    assert found[1] == files
    written = {path for path in (tmp_path / "scan").rglob("*") if path.is_file()}
    assert {path for path in written if path not in files.values()} <= {
        path for path in written if path.name.startswith("conf_")
    }


def test_hidden_and_unrelated_files_are_ignored(tmp_path: Path) -> None:
    write_own(tmp_path / "scan", frames(2))
    before = scan_files(tmp_path, "scan")
    for name in (".DS_Store", "color/._00000.jpg", "notes.txt", "video/a.mp4", "color/x.jpg"):
        put(tmp_path / "scan" / name, "")
    assert scan_files(tmp_path, "scan") == before


def test_frames_may_be_one_folder_further_down(tmp_path: Path) -> None:
    write_exr(tmp_path / "a", frames(2))
    write_three_d_match(tmp_path / "b/seq-01", frames(2))
    intrinsics = tmp_path / "b/seq-01/camera-intrinsics.txt"
    intrinsics.rename(tmp_path / "b/camera-intrinsics.txt")
    write_r3d(tmp_path / "c", frames(2))
    for scan, focal in (("a", 27.7), ("b", 27.7), ("c", 27.7)):
        reader = open_frames(scan_files(tmp_path, scan)["frames"])
        assert len(reader.frame_ids) == 2
        assert reader.color_intrinsics.ravel()[0] == pytest.approx(focal, abs=0.1)


def test_intrinsics_may_be_beside_the_folder_of_a_sequence(tmp_path: Path) -> None:
    write_three_d_match(tmp_path / "seq-01", frames(2))
    (tmp_path / "seq-01/camera-intrinsics.txt").rename(tmp_path / "camera-intrinsics.txt")
    assert "camera-intrinsics.txt" in scan_files(tmp_path, "seq-01")["frames"]


def test_several_recordings_in_one_folder_are_refused(tmp_path: Path) -> None:
    for name in ("seq-01", "seq-02"):
        write_three_d_match(tmp_path / "scan" / name, frames(2))
    with pytest.raises(BadInput, match="several recordings, in seq-01/, seq-02/"):
        scan_files(tmp_path, "scan")


def test_an_unknown_layout_is_described_and_all_layouts_are_listed(tmp_path: Path) -> None:
    write_own(tmp_path / "scan", frames(3))
    for path in (tmp_path / "scan/pose").iterdir():
        path.unlink()
    with pytest.raises(BadInput) as caught:
        scan_files(tmp_path, "scan")
    message = str(caught.value)
    assert "color/ (3 .jpg), depth/ (3 .png), intrinsics.txt" in message
    assert "it lacks pose/" in message
    assert titles() in message
    assert "\n" not in message
    put(tmp_path / "other/a.bin", "")
    with pytest.raises(BadInput) as caught:
        scan_files(tmp_path, "other")
    assert all(layout.NAME in str(caught.value) for layout in KNOWN)


def test_an_empty_a_missing_and_a_malicious_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for scan, what in (
        ("empty", "contains no file"),
        ("none", "has no folder none"),
        ("..", "name"),
    ):
        with pytest.raises(BadInput, match=what):
            scan_files(tmp_path, scan)


def test_the_cloud_is_the_only_ply_file_or_the_one_named_like_the_scan(tmp_path: Path) -> None:
    write_exr(tmp_path / "scan", frames(2))
    assert CLOUD not in scan_files(tmp_path, "scan")["cloud"]
    put(tmp_path / "scan/EXR_RGBD/mesh.PLY", "ply")
    assert scan_files(tmp_path, "scan")["cloud"][CLOUD].name == "mesh.PLY"
    put(tmp_path / "scan/b.ply", "ply")
    with pytest.raises(BadInput, match=r"PLY files .*b\.ply"):
        scan_files(tmp_path, "scan")
    put(tmp_path / "scan/scan.ply", "ply")
    assert scan_files(tmp_path, "scan")["cloud"][CLOUD].name == "scan.ply"
    assert CLOUD not in scan_files(tmp_path, "scan")["frames"]


def test_a_folder_has_no_labels(tmp_path: Path) -> None:
    write_own(tmp_path / "scan", frames(2))
    assert scan_files(tmp_path, "scan")["labels"] == {}
    check(tmp_path, "scan", "train", labels=False)
    check(tmp_path, "scan", "test")
    with pytest.raises(BadInput, match="no dense labels"):
        check(tmp_path, "scan", "train")


def test_a_number_with_an_underscore_is_refused(tmp_path: Path) -> None:
    """Python would read 577 there."""
    (tmp_path / "intrinsics.txt").write_text("5_77 577 320 240")
    with pytest.raises(BadInput, match="does not contain the numbers of"):
        read_intrinsics(tmp_path / "intrinsics.txt")
