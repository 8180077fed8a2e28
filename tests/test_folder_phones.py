"""The layouts of phones: which images and poses are taken, and which depth is trusted."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_folder_frames import opened
from test_folder_other_layouts import off_the_planes

from pipeline.errors import BadInput
from pipeline.readers.folder.files import scan_files
from tests.helpers.room_frames import K_COLOR, encoded, frames, put
from tests.helpers.tiny_layouts import write_colmap
from tests.helpers.tiny_phones import (
    confidence,
    write_arkit_scenes,
    write_polycam,
    write_scannet_pp,
    write_stray,
)


def test_polycam_is_read_by_its_names(tmp_path: Path) -> None:
    written = frames(3, whole=True)
    write_polycam(tmp_path / "scan", written)
    reader = opened(tmp_path / "scan")
    assert list(reader.frame_ids) == [100, 101, 102]
    assert reader.read(101).timestamp == 101
    assert np.allclose(reader.pose(102), written[2].camera_to_world)
    assert np.allclose(reader.color_intrinsics, K_COLOR)


def test_polycams_optimised_cameras_are_taken_and_never_mixed(tmp_path: Path) -> None:
    write_polycam(tmp_path / "scan", frames(4, whole=True), corrected=True)
    assert off_the_planes(tmp_path / "scan") < 0.001
    (tmp_path / "scan/keyframes/corrected_images/102.jpg").unlink()
    assert list(opened(tmp_path / "scan").frame_ids) == [100, 101, 103]


@pytest.mark.parametrize("kind", ["cameras", "depth"])
def test_a_frame_of_polycam_that_lacks_a_file_is_reported(tmp_path: Path, kind: str) -> None:
    write_polycam(tmp_path / "scan", frames(3))
    next((tmp_path / f"scan/keyframes/{kind}").iterdir()).unlink()
    with pytest.raises(BadInput, match=f"has no {kind} file beside it"):
        opened(tmp_path / "scan")


def test_depth_of_low_confidence_is_none(tmp_path: Path) -> None:
    written = frames(2, whole=True)
    write_polycam(tmp_path / "scan", written)
    path = tmp_path / "scan/keyframes/confidence/101.png"
    sure = np.full(written[1].depth.shape, 255, np.uint8)
    sure[:3] = 0
    put(path, encoded(sure, "PNG"))
    assert np.array_equal(opened(tmp_path / "scan").read(101).depth, written[1].depth * (sure > 0))
    put(path, confidence(1)[:40])
    with pytest.raises(BadInput, match="damaged image"):
        opened(tmp_path / "scan").read(101)
    put(path, encoded(sure[1:], "PNG"))
    with pytest.raises(BadInput, match="not of"):
        opened(tmp_path / "scan").read(101)


def test_stray_scanners_old_files_have_no_header(tmp_path: Path) -> None:
    write_stray(tmp_path / "scan", frames(3, whole=True), header=False)
    assert off_the_planes(tmp_path / "scan") < 0.001


def test_some_frames_of_a_video_may_be_extracted(tmp_path: Path) -> None:
    write_stray(tmp_path / "scan", frames(6, whole=True))
    for i in (1, 2, 4):
        (tmp_path / f"scan/rgb/{i:06d}.jpg").unlink()
    assert list(opened(tmp_path / "scan").frame_ids) == [0, 3, 5]
    assert off_the_planes(tmp_path / "scan") < 0.001


def test_a_video_that_is_not_extracted_is_reported_with_the_command(tmp_path: Path) -> None:
    write_stray(tmp_path / "scan", frames(2))
    for path in (tmp_path / "scan/rgb").iterdir():
        path.unlink()
    put(tmp_path / "scan/rgb.mp4", "a video")
    with pytest.raises(BadInput, match=r"ffmpeg -i rgb\.mp4 .* rgb/%06d\.jpg"):
        scan_files(tmp_path, "scan")


def test_images_that_begin_with_1_do_not_get_the_poses_before_theirs(tmp_path: Path) -> None:
    write_stray(tmp_path / "scan", frames(3))
    for i in (2, 1, 0):
        (tmp_path / f"scan/rgb/{i:06d}.jpg").rename(tmp_path / f"scan/rgb/{i + 1:06d}.jpg")
    with pytest.raises(BadInput, match="images 1 to 3 beside depth 0 to 2; extract all frames"):
        opened(tmp_path / "scan")


@pytest.mark.parametrize("write", [write_stray, write_scannet_pp])
def test_each_second_frame_with_new_numbers_is_not_taken_for_the_first_ones(
    tmp_path: Path, write: Callable
) -> None:
    write(tmp_path / "scan", frames(6))
    images = sorted((tmp_path / "scan").rglob("rgb/*.jpg"))
    for i, path in enumerate(images):
        path.rename(images[i // 2]) if i % 2 == 0 else path.unlink()
    with pytest.raises(BadInput, match="images 0 to 2 beside depth 0 to 5"):
        opened(tmp_path / "scan")


def test_intrinsics_of_the_video_fit_smaller_images(tmp_path: Path) -> None:
    big = K_COLOR * np.array([[60], [60], [1]])
    big[:2, 2] = 959.5, 719.5
    for write, path in (
        (write_stray, "camera_matrix.csv"),
        (write_scannet_pp, "iphone/pose_intrinsic_imu.json"),
    ):
        folder = tmp_path / write.__name__
        write(folder, frames(2))
        text = (folder / path).read_text()
        if path.endswith(".csv"):
            text = "\n".join(", ".join(map(str, row)) for row in big.tolist())
        else:
            known = json.loads(text)
            text = json.dumps({k: v | {"intrinsic": big.tolist()} for k, v in known.items()})
        put(folder / path, text)
        k = opened(folder).color_intrinsics.reshape(-1, 3, 3)[0]
        assert np.allclose(k[:2, 2], [15.5, 11.5])
        assert np.isclose(k[0, 0], K_COLOR[0, 0])
        put(folder / path, text.replace("959.5", "400.5"))
        with pytest.raises(BadInput, match="principal point"):
            opened(folder)


def test_arkit_scenes_pair_by_time(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    write_arkit_scenes(folder, frames(5, whole=True))
    sorted((folder / "lowres_wide").iterdir())[1].unlink()
    sorted((folder / "lowres_depth").iterdir())[3].unlink()
    lines = (folder / "lowres_wide.traj").read_text().splitlines()
    put(folder / "lowres_wide.traj", "\n".join(lines[:2] + lines[3:]))
    assert off_the_planes(folder) < 0.001
    reader = opened(folder)
    assert [round(reader.read(i).timestamp / 1e5) for i in reader.frame_ids] == [653, 655, 657]
    assert [bool(np.isfinite(reader.pose(i)).all()) for i in reader.frame_ids] == [1, 0, 1]


def test_scannet_plus_plus_tells_a_frame_that_it_does_not_know(tmp_path: Path) -> None:
    write_scannet_pp(tmp_path / "scan", frames(3))
    path = tmp_path / "scan/iphone/pose_intrinsic_imu.json"
    known = json.loads(path.read_text())
    del known["frame_000001"]
    put(path, json.dumps(known))
    with pytest.raises(BadInput, match="has no frame 1"):
        opened(tmp_path / "scan")


@pytest.mark.parametrize("place", [".", "sparse", "sparse/0", "colmap"])
@pytest.mark.parametrize("points", ["", None, "10.5 3.25 -1 20.5 4.5 17"])
def test_colmaps_model_may_be_in_several_places(
    tmp_path: Path, place: str, points: str | None
) -> None:
    write_colmap(tmp_path / "scan", frames(3, whole=True), place, points)
    assert off_the_planes(tmp_path / "scan") < 0.001


@pytest.mark.parametrize(
    ("camera", "what"),
    [
        ("1 OPENCV_FISHEYE 32 24 27 27 15 12 0 0 0 0", "no pinhole"),
        ("1 SIMPLE_RADIAL 32 24 27 16 12 0.3", "distortion"),
        ("1 PINHOLE 32 24 27 27 16", "size and fx"),
        ("2 PINHOLE 32 24 27 27 16 12", "camera 1, not in"),
    ],
)
def test_colmaps_cameras_that_are_no_pinhole_are_refused(
    tmp_path: Path, camera: str, what: str
) -> None:
    write_colmap(tmp_path / "scan", frames(2))
    put(tmp_path / "scan/sparse/0/cameras.txt", camera + "\n")
    with pytest.raises(BadInput, match=what):
        opened(tmp_path / "scan")


def test_what_a_folder_lacks_is_said(tmp_path: Path) -> None:
    write_colmap(tmp_path / "scan", frames(2))
    (tmp_path / "scan/sparse/0/images.txt").rename(tmp_path / "scan/sparse/0/images.bin")
    with pytest.raises(BadInput, match=r"it lacks sparse/images\.txt .*colmap model_converter"):
        scan_files(tmp_path, "scan")
    write_scannet_pp(tmp_path / "b", frames(2))
    for path in (tmp_path / "b/iphone/depth").iterdir():
        path.unlink()
    with pytest.raises(BadInput, match=r"it lacks depth/frame_000000\.png .*depth\.bin"):
        scan_files(tmp_path, "b")
