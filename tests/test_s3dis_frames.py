"""The perspective images of 2D-3D-S: they are read as written, and faults are refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import BadInput
from pipeline.readers.s3dis.alignment import AREA_5B_TO_5A
from pipeline.readers.s3dis.files import scan_files
from pipeline.readers.s3dis.frames import open_frames
from pipeline.readers.s3dis.poses import read_pose
from pipeline.scan import RawFrames
from pipeline.simulate.s3dis_files import SimulatedRoom, write_room
from pipeline.simulate.s3dis_images import View, write_view
from tests.helpers.raw_reader_suite import FramesSuite
from tests.helpers.tiny_s3dis import as_frames, camera, files_of, noise_views, only_text, room

# The example of a pose file in which every field agrees with the others, from the published key.
EXAMPLE: dict[str, Any] = {
    "camera_k_matrix": [[932.288117, 0.0, 540.0], [0.0, 932.288117, 540.0], [0.0, 0.0, 1.0]],
    "field_of_view_rads": 1.05,
    "camera_original_rotation": [1.5, 0.0, 0.6],
    "rotation_from_original_to_point": [0.1, -0.05, 0.2],
    "point_uuid": "c0ffee00c0ffee00c0ffee00c0ffee00",
    "camera_uuid": "0123456789abcdef0123456789abcdef",
    "camera_location": [-3.21, 4.05, 1.47],
    "frame_num": 0,
    "camera_rt_matrix": [
        [0.693495, 0.713827, 0.097549, -0.808277],
        [0.079754, 0.058504, -0.995096, 1.481862],
        [-0.716033, 0.697874, -0.016359, -5.100811],
    ],
    "final_camera_rotation": [1.554359, -0.097705, 0.799844],
    "room": "office_3_1",
}


def written(views: list[View], area: str = "1") -> SimulatedRoom:
    return only_text(room(area, n_views=1), views=views)


def opened(raw: Path, scan: str = "Area_1_office_1") -> RawFrames:
    return open_frames(scan_files(raw, scan)["frames"])


class TestPerspectiveImages(FramesSuite):
    views = noise_views()
    written = as_frames(views)
    color_size = depth_size = (16, 16)
    depth_scale = 512.0
    color_intrinsics = depth_intrinsics = np.stack([view.intrinsics for view in views])

    def write(self, folder: Path) -> None:
        write_room(folder, written(self.views))

    def open(self, folder: Path) -> RawFrames:
        return opened(folder)

    def damage(self, folder: Path, frame_id: int) -> None:
        view = self.views[frame_id]
        for kind in ("rgb", "depth"):
            pattern = f"camera_{view.camera}_*_frame_{view.frame}_domain_{kind}.png"
            path = next((folder / "area_1/data" / kind).glob(pattern))
            path.write_bytes(bytes(200) + path.read_bytes()[200:])


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_room(tmp_path, written(noise_views(2)))
    return tmp_path


def edit(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_the_published_example_gives_the_published_camera(tmp_path: Path) -> None:
    (tmp_path / "pose.json").write_text(json.dumps(EXAMPLE))
    k, pose = read_pose(tmp_path / "pose.json")
    assert k[:2, 2].tolist() == [539.5, 539.5]
    assert np.allclose(pose[:3, 3], EXAMPLE["camera_location"], atol=1e-5)
    assert 2 * np.arctan(540 / k[0, 0]) == pytest.approx(EXAMPLE["field_of_view_rads"], abs=1e-6)


def test_the_simulator_writes_the_example_from_its_own_camera(tmp_path: Path) -> None:
    (tmp_path / "pose.json").write_text(json.dumps(EXAMPLE))
    k, pose = read_pose(tmp_path / "pose.json")
    blank = np.zeros((4, 4, 3), np.uint8)
    write_view(tmp_path, "1", "office_3", View("0" * 32, 0, blank, np.zeros((4, 4)), k, pose))
    fields = json.loads(next((tmp_path / "pose").iterdir()).read_text())
    assert fields.keys() == EXAMPLE.keys()
    assert fields["room"] == EXAMPLE["room"]
    for name in ("camera_k_matrix", "camera_rt_matrix", "camera_location", "field_of_view_rads"):
        assert np.allclose(fields[name], EXAMPLE[name], atol=2e-5), name
    assert np.allclose(fields["final_camera_rotation"], EXAMPLE["final_camera_rotation"], atol=1e-4)


def test_files_have_the_names_and_codes_of_the_release(raw: Path) -> None:
    names = [path.relative_to(raw).as_posix() for path in files_of(raw, "0_domain_depth.png")]
    uuid = "0" * 32
    assert names == [f"area_1/data/depth/camera_{uuid}_office_1_frame_0_domain_depth.png"]
    depth = np.asarray(Image.open(raw / names[0]))
    assert depth.dtype == np.uint16
    assert (depth[3:5, 2:7] == 65535).all()
    colors = [Image.open(path).mode for path in files_of(raw, "_rgb.png")]
    assert colors == ["RGB", "RGBA"]


def test_frames_of_both_parts_of_area_5_are_in_the_coordinates_of_5a(tmp_path: Path) -> None:
    views = noise_views(2)
    other = [replace(view, camera="f" * 32) for view in views]
    write_room(tmp_path, written(views, "5"))
    write_room(tmp_path, written(other, "5"), images="area_5b")
    frames = opened(tmp_path, "Area_5_office_1")
    assert len(frames.frame_ids) == 4
    for i, view in enumerate([*views, *other]):
        assert np.allclose(frames.pose(i), view.camera_to_world, atol=1e-9)
    raw_5b = read_pose(files_of(tmp_path / "area_5b", "frame_0_domain_pose.json")[0])[1]
    assert not np.allclose(raw_5b, views[0].camera_to_world)
    assert np.allclose(AREA_5B_TO_5A @ raw_5b, views[0].camera_to_world, atol=1e-9)


def test_office_1_has_no_image_of_office_10(tmp_path: Path) -> None:
    write_room(tmp_path, written(noise_views(2)))
    ten = only_text(room(n_views=1), room="office_10", views=noise_views(4))
    write_room(tmp_path, ten)
    assert len(opened(tmp_path).frame_ids) == 2
    assert len(opened(tmp_path, "Area_1_office_10").frame_ids) == 4


def test_frames_of_a_camera_sort_by_number(tmp_path: Path) -> None:
    one = noise_views(1)[0]
    views = [replace(one, frame=i, intrinsics=camera(0.5 + i / 20, 16)) for i in range(12)]
    write_room(tmp_path, written(views))
    assert np.array_equal(
        opened(tmp_path).color_intrinsics, np.stack([view.intrinsics for view in views])
    )


@pytest.mark.parametrize("kind", ["rgb", "depth", "pose"])
def test_a_frame_that_lacks_a_file_is_reported(raw: Path, kind: str) -> None:
    files_of(raw, f"1_domain_{kind}.{'json' if kind == 'pose' else 'png'}")[0].unlink()
    with pytest.raises(BadInput, match=rf"frame_1_domain_\w+\.\w+: has no {kind} file beside it"):
        opened(raw)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"camera_rt_matrix": [[1, 0], [0, 1]]}, "no camera_rt_matrix of 3 x 4"),
        ({"camera_rt_matrix": None}, "no camera_rt_matrix of 3 x 4"),
        ({"camera_rt_matrix": [[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]}, "is not a rotation"),
        ({"camera_rt_matrix": [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]}, "is not a rotation"),
        ({"camera_k_matrix": [["a"] * 3] * 3}, "no camera_k_matrix of 3 x 3"),
        ({"camera_k_matrix": [[0, 0, 8], [0, 9, 8], [0, 0, 1]]}, "intrinsics"),
        ({"camera_k_matrix": [[900, 0, 540], [0, 900, 540], [0, 0, 1]]}, "another image size"),
    ],
)
def test_an_invalid_pose_is_refused(raw: Path, fields: dict, what: str) -> None:
    path = files_of(raw, "1_domain_pose.json")[0]
    edit(path, **fields)
    with pytest.raises(BadInput, match=f"{path.name}: has .*{what}"):
        opened(raw)


@pytest.mark.parametrize("ending", ["1_domain_rgb.png", "1_domain_depth.png"])
def test_images_of_another_size_than_the_first_are_refused(raw: Path, ending: str) -> None:
    path = files_of(raw, ending)[0]
    Image.fromarray(np.asarray(Image.open(path))[:8, :8]).save(path)
    with pytest.raises(BadInput, match=rf"{ending}: is an image of \(8, 8\) pixels"):
        opened(raw).read(1)
