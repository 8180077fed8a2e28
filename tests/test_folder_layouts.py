"""The peculiarities of layouts: times, default cameras, missing files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_folder_frames import opened

from pipeline.errors import BadInput
from tests.helpers.room_frames import K_COLOR, encoded, frames, put
from tests.helpers.tiny_folders import LAYOUTS, write_three_d_match, write_tum


def test_a_colour_image_gets_the_nearest_depth_in_time_and_no_two_share_one(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "scan"
    write_tum(folder, frames(5, whole=True))
    depth = (folder / "depth.txt").read_text().splitlines()
    late = f"{float(depth[1].split()[0]) + 0.025:.6f} {depth[1].split()[1]}"
    (folder / "depth.txt").write_text("\n".join([late, *reversed(depth[2:]), depth[0]]))
    time, image = (folder / "rgb.txt").read_text().splitlines()[4].split()
    with open(folder / "rgb.txt", "a") as file:
        file.write(f"{float(time) + 0.01:.6f} {image}\n")
    reader = opened(folder)
    # The depth of image 1 is 29 ms late; that of image 3 is nearer to it than to the sixth.
    assert list(reader.frame_ids) == [0, 2, 3, 4]
    expected = frames(5, whole=True)
    for i in reader.frame_ids:
        assert np.array_equal(reader.read(i).depth, 5 * expected[i].depth)
    assert reader.read(3).timestamp == round(1e6 * (1305031102.175304 + 0.1))


@pytest.mark.parametrize("size", [(640, 480), (320, 240)])
def test_tum_without_intrinsics_has_the_recommended_camera(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    write_tum(tmp_path / "scan", resized(size))
    (tmp_path / "scan/intrinsics.txt").unlink()
    k = opened(tmp_path / "scan").color_intrinsics
    assert k[0, 0] == 525 * size[0] / 640
    assert k[:2, 2] == pytest.approx([size[0] / 2 - 0.5, size[1] / 2 - 0.5])


def test_7_scenes_has_a_camera_for_each_image(tmp_path: Path) -> None:
    write_three_d_match(tmp_path / "scan", resized((640, 480)))
    (tmp_path / "scan/camera-intrinsics.txt").unlink()
    reader = opened(tmp_path / "scan")
    assert (reader.color_intrinsics[0, 0], reader.depth_intrinsics[0, 0]) == (525, 585)


def test_a_default_camera_is_refused_for_images_of_another_shape(tmp_path: Path) -> None:
    write_tum(tmp_path / "scan", resized((480, 480)))
    (tmp_path / "scan/intrinsics.txt").unlink()
    with pytest.raises(BadInput, match="another shape"):
        opened(tmp_path / "scan")


def resized(size: tuple[int, int]) -> list:
    grey, depth = np.zeros((*size[::-1], 3), np.uint8), np.ones(size[::-1], np.uint16)
    return [replace(f, color=encoded(grey, "JPEG"), depth=depth) for f in frames(2, whole=True)]


def test_intrinsics_that_change_from_frame_to_frame_are_kept(tmp_path: Path) -> None:
    LAYOUTS["scanner"].write(tmp_path / "scan", frames(3, whole=True))
    path = tmp_path / "scan/frame_00001.json"
    zoomed = K_COLOR * [[1.25, 1, 1], [1, 1.25, 1], [1, 1, 1]]
    values = json.loads(path.read_text()) | {"intrinsics": zoomed.ravel().tolist()}
    put(path, json.dumps(values))
    k = opened(tmp_path / "scan").color_intrinsics
    assert np.array_equal(k, np.stack([K_COLOR, zoomed, K_COLOR]))


@pytest.mark.parametrize("name", ["own", "3dmatch", "scanner", "record3d"])
def test_a_frame_that_lacks_its_depth_is_reported(tmp_path: Path, name: str) -> None:
    layout = LAYOUTS[name]
    layout.write(tmp_path / "scan", frames())
    (tmp_path / "scan" / layout.images[1].format(i=3)).unlink()
    with pytest.raises(BadInput, match=r"has no depth (file|image)"):
        opened(tmp_path / "scan")


def test_one_file_less_of_each_kind_does_not_pair_by_count(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    LAYOUTS["open3d"].write(folder, frames())
    sorted((folder / "color").iterdir())[1].unlink()
    with pytest.raises(BadInput, match="has no color file beside it"):
        opened(folder)
    sorted((folder / "depth").iterdir())[1].unlink()
    with pytest.raises(
        BadInput, match="has 5 poses, 0 to 4, for 4 images with the numbers 9 to 13"
    ):
        opened(folder)
    log = folder / "scene/trajectory.log"
    put(log, "\n".join(log.read_text().splitlines()[:-5]))
    with pytest.raises(
        BadInput, match="has 4 poses, 0 to 3, for 4 images with the numbers 9 to 13"
    ):
        opened(folder)


def test_a_listed_image_that_is_absent_is_reported(tmp_path: Path) -> None:
    write_tum(tmp_path / "scan", frames())
    next((tmp_path / "scan/rgb").iterdir()).unlink()
    with pytest.raises(BadInput, match=r"rgb\.txt: names"):
        opened(tmp_path / "scan")


def test_open3ds_trajectory_as_json_is_no_camera(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    LAYOUTS["open3d"].write(folder, frames())
    before = opened(folder).color_intrinsics
    put(folder / "camera_trajectory.json", json.dumps({"class_name": "PinholeCameraTrajectory"}))
    assert np.array_equal(opened(folder).color_intrinsics, before)


def test_depth_of_open3d_has_the_unit_of_its_camera(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    LAYOUTS["open3d"].write(folder, frames())
    camera = json.loads((folder / "camera_primesense.json").read_text()) | {"depth_scale": 5000.0}
    put(folder / "camera_primesense.json", json.dumps(camera))
    assert opened(folder).depth_scale == 5000
