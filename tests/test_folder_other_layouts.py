"""The layouts of other programs and datasets give the frames that were written into them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from test_folder_frames import Suite, opened

from pipeline.errors import BadInput
from pipeline.geometry.agreement import seen_points
from tests.helpers import planes
from tests.helpers.room_frames import COLOR_SIZE, K_COLOR, Y_UP, encoded, frames, put, quaternion
from tests.helpers.tiny_folders import LAYOUTS
from tests.helpers.tiny_layouts import (
    text_of,
    write_numbered,
    write_replica,
    write_stacked,
    write_transforms,
)
from tests.other_files import metadata

Z_DOWN = np.diag([1.0, -1.0, -1.0, 1.0])
Y_DOWN = Z_DOWN @ Y_UP


class TestTransforms(Suite):
    layout = LAYOUTS["transforms"]


class TestReplica(Suite):
    layout = LAYOUTS["replica"]


class TestStacked(Suite):
    layout = LAYOUTS["stacked"]


class TestNumbered(Suite):
    layout = LAYOUTS["numbered"]


class TestStray(Suite):
    layout = LAYOUTS["stray"]


class TestArkitScenes(Suite):
    layout = LAYOUTS["arkitscenes"]


class TestScanNetPlusPlus(Suite):
    layout = LAYOUTS["scannet++"]


class TestColmap(Suite):
    layout = LAYOUTS["colmap"]


class TestFlat(Suite):
    layout = LAYOUTS["flat"]


def off_the_planes(folder: Path) -> float:
    """Metres between the planes of the room and the point that is farthest from them."""
    return float(planes.distance_to_planes(planes.box_room(), seen_points(opened(folder))).max())


@pytest.mark.parametrize("unit", ["integer_depth_scale", "depth_unit_scale_factor"])
def test_depth_of_transforms_has_the_unit_that_the_file_says(tmp_path: Path, unit: str) -> None:
    write_transforms(tmp_path / "scan", frames(3, whole=True))
    change(tmp_path / "scan/transforms.json", **{unit: 0.001})
    assert opened(tmp_path / "scan").depth_scale == 1000
    assert off_the_planes(tmp_path / "scan") < 0.001
    change(tmp_path / "scan/transforms.json", **{unit: 1 / 65535 * 10})
    assert opened(tmp_path / "scan").depth_scale == pytest.approx(6553.5)


def test_nerfcapture_names_images_without_their_ending_and_a_camera_for_each(
    tmp_path: Path,
) -> None:
    write_transforms(tmp_path / "scan", frames(3, whole=True), True, False, "depth_path")
    assert off_the_planes(tmp_path / "scan") < 0.001


def test_transforms_with_poses_of_another_scale_are_scaled_back(tmp_path: Path) -> None:
    written = frames(3, whole=True)
    write_transforms(tmp_path / "scan", written, applied_scale=0.25)
    for entry in written:
        found = opened(tmp_path / "scan").pose(entry.frame_id)
        assert np.allclose(found[:3, 3], 4 * entry.camera_to_world[:3, 3])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"k1": 0.2}, "distortion moves the corners"),
        ({"camera_model": "OPENCV_FISHEYE"}, "no pinhole"),
        ({"integer_depth_scale": 0}, "integer_depth_scale"),
        ({"applied_scale": "a"}, "applied_scale"),
        ({"w": 31.5}, "images of 31.5"),
        ({"fl_x": None}, "intrinsics"),
        ({"frames": [{"depth_path": 1}, 2]}, "list of frames"),
    ],
)
def test_transforms_that_cannot_be_read_are_refused(
    tmp_path: Path, changes: dict, what: str
) -> None:
    write_transforms(tmp_path / "scan", frames(2))
    change(tmp_path / "scan/transforms.json", **changes)
    with pytest.raises(BadInput, match=what):
        opened(tmp_path / "scan")


def test_a_little_distortion_is_none(tmp_path: Path) -> None:
    write_transforms(tmp_path / "scan", frames(2, whole=True), k1=0.001, p1=-0.0005)
    assert np.allclose(opened(tmp_path / "scan").color_intrinsics, K_COLOR)


def test_replicas_camera_may_be_beside_the_scan(tmp_path: Path) -> None:
    write_replica(tmp_path / "room0", frames(3, whole=True))
    (tmp_path / "room0/cam_params.json").rename(tmp_path / "cam_params.json")
    assert off_the_planes(tmp_path / "room0") < 0.001


@pytest.mark.parametrize("rows", [3, 4])
@pytest.mark.parametrize("per_line", [True, False])
def test_stacked_poses_have_three_or_four_rows(tmp_path: Path, rows: int, per_line: bool) -> None:
    write_stacked(tmp_path / "scan", frames(4, whole=True), rows, per_line)
    assert off_the_planes(tmp_path / "scan") < 0.001


def test_a_pose_belongs_to_the_image_of_its_number(tmp_path: Path) -> None:
    write_stacked(tmp_path / "scan", frames(6, whole=True))
    for name in ("rgb/rgb_2.jpg", "depth/depth_2.png"):
        (tmp_path / "scan" / name).unlink()
    assert list(opened(tmp_path / "scan").frame_ids) == [0, 1, 3, 4, 5]
    assert off_the_planes(tmp_path / "scan") < 0.001


def test_as_many_poses_as_images_do_not_pair_without_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    write_stacked(folder, frames(6, whole=True))
    for name in ("rgb/rgb_2.jpg", "depth/depth_2.png"):
        (folder / name).unlink()
    lines = (folder / "poses.txt").read_text().splitlines()
    put(folder / "poses.txt", "\n".join(lines[:-4]))
    with pytest.raises(
        BadInput, match=r"5 poses for 5 images with the names rgb_0\.jpg to rgb_5\.jpg"
    ):
        opened(folder)


def test_one_image_less_of_each_kind_is_seen(tmp_path: Path) -> None:
    write_numbered(tmp_path / "scan", frames(5))
    (tmp_path / "scan/rgb/frame_0001.jpg").unlink()
    (tmp_path / "scan/depth/frame_0003.png").unlink()
    with pytest.raises(BadInput, match=r"has no (color|depth) file beside it"):
        opened(tmp_path / "scan")


def change(path: Path, **values: object) -> None:
    put(path, json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("unit", [1e9, 1e6, 1e3, 1])
def test_names_that_are_times_pair_with_the_nearest(tmp_path: Path, unit: float) -> None:
    """Colour, depth and poses of three clocks that differ by a few milliseconds."""
    folder = tmp_path / "scan"
    for f in frames(4, whole=True):
        time = 1_700_000_000.5 + f.frame_id / 30

        def name(late: float, time: float = time) -> str:
            return f"{time + late:.6f}" if unit == 1 else str(round((time + late) * unit))

        put(folder / f"rgb/{name(0)}.jpg", f.color)
        if f.frame_id != 1:
            put(folder / f"depth/{name(0.004)}.png", encoded(f.depth, "PNG"))
        if f.frame_id != 3:
            put(folder / f"poses/{name(-0.003)}.txt", f.camera_to_world)
    put(folder / "intrinsics.txt", K_COLOR)
    assert list(opened(folder).frame_ids) == [0, 2]
    assert off_the_planes(folder) < 0.001


def test_lines_of_times_are_those_of_images_named_by_times_or_numbers(tmp_path: Path) -> None:
    for kind in ("time", "number"):
        folder, lines = tmp_path / kind, []
        for f in frames(4, whole=True):
            time = 1_700_000_000.5 + f.frame_id / 30 if kind == "time" else float(f.frame_id)
            name = f"{time:.6f}" if kind == "time" else f"frame_{f.frame_id:03d}"
            put(folder / f"rgb/{name}.jpg", f.color)
            put(folder / f"depth/{name}.png", encoded(f.depth, "PNG"))
            late = 0.003 if kind == "time" else 0
            pose = text_of(np.array([*f.camera_to_world[:3, 3], *quaternion(f.camera_to_world)]))
            lines.append(f"{time + late!r} {pose}")
        put(folder / "intrinsics.txt", K_COLOR)
        put(folder / "trajectory.txt", "\n".join(reversed(lines)))
        assert off_the_planes(folder) < 0.001
        put(folder / "trajectory.txt", "\n".join(f"9{line}" for line in lines))
        with pytest.raises(BadInput, match="neither the numbers nor"):
            opened(folder)


def test_poses_in_order_do_not_belong_to_images_named_by_times(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    write_stacked(folder, frames(3))
    for i in range(3):
        for kind, ending in (("rgb", "jpg"), ("depth", "png")):
            name = f"{1_700_000_000 + i / 30:.6f}.{ending}"
            (folder / f"{kind}/{kind}_{i}.{ending}").rename(folder / kind / name)
    with pytest.raises(BadInput, match="has 3 poses for 3 images with the names 17"):
        opened(folder)


def test_numbers_that_all_names_share_mean_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    for f in frames(3, whole=True):
        put(folder / f"images/scan7_cam0_{f.frame_id:04d}.jpg", f.color)
        put(folder / f"depth/{f.frame_id}.png", encoded(f.depth, "PNG"))
        put(folder / f"pose/2024-01-31_{f.frame_id}.txt", f.camera_to_world)
    put(folder / "K.txt", K_COLOR)
    assert off_the_planes(folder) < 0.001


@pytest.mark.parametrize("turn", [Z_DOWN, Y_UP, Y_DOWN])
def test_a_world_with_another_axis_up_is_turned(tmp_path: Path, turn: np.ndarray) -> None:
    room = [replace(f, camera_to_world=turn @ f.camera_to_world) for f in frames(whole=True)]
    write_numbered(tmp_path / "scan", room)
    assert off_the_planes(tmp_path / "scan") < 0.001


@pytest.mark.parametrize("order", ["F", "C"])
def test_a_camera_as_json_may_take_the_place_of_a_text(
    tmp_path: Path, order: Literal["F", "C"]
) -> None:
    """As Open3D's recorder of an Azure Kinect or a RealSense writes it, or with rows as columns."""
    folder = tmp_path / "scan"
    write_numbered(folder, [replace(f, depth=f.depth * 4) for f in frames(3, whole=True)])
    (folder / "intrinsics.txt").unlink()
    size = dict(zip(("width", "height"), COLOR_SIZE, strict=True))
    matrix = {"intrinsic_matrix": K_COLOR.ravel(order).tolist(), "depth_scale": 4000.00002}
    put(folder / "camera_intrinsic.json", json.dumps(size | matrix))
    put(folder / "camera_trajectory.json", json.dumps({"class_name": "PinholeCameraTrajectory"}))
    assert opened(folder).depth_scale == 4000
    assert off_the_planes(folder) < 0.001
    put(folder / "camera.json", json.dumps(size | matrix))
    with pytest.raises(BadInput, match="one of 2 cameras"):
        opened(folder)


def test_replica_without_its_unit_of_depth_is_refused(tmp_path: Path) -> None:
    write_replica(tmp_path / "scan", frames(2))
    (tmp_path / "scan/cam_params.json").unlink()
    put(tmp_path / "scan/intrinsics.txt", K_COLOR)
    with pytest.raises(BadInput, match=r"cam_params\.json with the scale of depth"):
        opened(tmp_path / "scan")


@pytest.mark.parametrize("rows", [3, 4])
def test_matrices_may_follow_the_number_of_their_image(tmp_path: Path, rows: int) -> None:
    written = frames(5, whole=True)
    write_stacked(tmp_path / "scan", written)
    lines = [f"{f.frame_id} {text_of(f.camera_to_world[:rows].ravel())}" for f in written]
    put(tmp_path / "scan/poses.txt", "# number, matrix\n" + "\n".join(reversed(lines)))
    (tmp_path / "scan/rgb/rgb_0.jpg").unlink()
    (tmp_path / "scan/depth/depth_0.png").unlink()
    assert list(opened(tmp_path / "scan").frame_ids) == [1, 2, 3, 4]
    assert off_the_planes(tmp_path / "scan") < 0.001


def test_images_may_be_named_by_words_that_are_the_same_for_depth_and_pose(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    for f, name in zip(frames(3, whole=True), ("door", "window", "table"), strict=True):
        put(folder / f"color/{name}.jpg", f.color)
        put(folder / f"depth/{name}.png", encoded(f.depth, "PNG"))
        put(folder / f"pose/{name}.txt", f.camera_to_world)
    fx, fy, cx, cy = K_COLOR[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()
    put(folder / "intrinsics.txt", f"{fx}, {fy}, {cx}, {cy}\n")
    assert off_the_planes(folder) < 0.001
    (folder / "depth/door.png").rename(folder / "depth/gate.png")
    with pytest.raises(BadInput, match="has no number in its name"):
        opened(folder)


def test_numbers_longer_than_64_bits_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    for f in frames(3, whole=True):
        name = f"{10**24 + f.frame_id}"
        put(folder / f"color/{name}.jpg", f.color)
        put(folder / f"depth/{name}.png", encoded(f.depth, "PNG"))
        put(folder / f"pose/{name}.txt", f.camera_to_world)
    put(folder / "intrinsics.txt", K_COLOR)
    assert list(opened(folder).frame_ids) == [0, 1, 2]
    assert off_the_planes(folder) < 0.001


def test_transforms_may_name_images_where_they_were_on_another_machine(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    write_transforms(folder, frames(3, whole=True))
    text = (folder / "transforms.json").read_text()
    put(
        folder / "transforms.json",
        text.replace("./images", "/data/me/images").replace('"depth/', '"C:\\\\me\\\\depth/'),
    )
    assert off_the_planes(folder) < 0.001


def test_transforms_without_depth_are_told_that_they_lack_it(tmp_path: Path) -> None:
    write_transforms(tmp_path / "scan", frames(3), depth_key="mask_path")
    with pytest.raises(BadInput, match="it lacks depth_file_path of each frame"):
        opened(tmp_path / "scan")


def test_times_are_not_paired_by_their_seconds(tmp_path: Path) -> None:
    """One frame a second; depth that is 0.4 s late belongs to no image."""
    folder = tmp_path / "scan"
    for f in frames(3, whole=True):
        for late in (0.0, 0.4) if f.frame_id == 1 else (0.01,):
            name = f"{1_700_000_000.3 + f.frame_id + late:.3f}.png"
            put(folder / f"depth/{name}", encoded(f.depth, "PNG"))
        put(folder / f"rgb/{1_700_000_000.3 + f.frame_id:.3f}.jpg", f.color)
        put(folder / f"poses/{1_700_000_000.3 + f.frame_id:.3f}.txt", f.camera_to_world)
    (folder / "depth/1700000001.300.png").unlink()
    put(folder / "intrinsics.txt", K_COLOR)
    assert list(opened(folder).frame_ids) == [0, 2]


def test_two_files_about_the_camera_must_be_of_one_camera(tmp_path: Path) -> None:
    """3DMatch's `camera-intrinsics.txt` beside the `info.txt` of other tools."""
    metadata.check_info(tmp_path, "info.txt", 5000, False, "\n")
    scan = tmp_path / "scan"
    put(scan / "camera-intrinsics.txt", metadata.K)
    raw = metadata.opened(scan)
    assert np.allclose(raw.color_intrinsics, metadata.K)
    assert raw.depth_scale == 5000, "that of info.txt, which says more"
    other = metadata.K.copy()
    other[[0, 1], [0, 1]] *= 1.3
    put(scan / "camera-intrinsics.txt", other)
    with pytest.raises(BadInput) as caught:
        metadata.opened(scan)
    (sentence,) = str(caught.value).splitlines()
    assert "camera-intrinsics.txt: is of a camera that sees" in sentence
    assert "degrees, info.txt of one that sees" in sentence
