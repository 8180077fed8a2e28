"""Any folder of RGB-D frames: every layout gives the frames that were written into it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.geometry.agreement import seen_points
from pipeline.readers.folder.files import scan_files
from pipeline.readers.folder.frames import open_frames
from pipeline.readers.folder.recording import FolderFrames
from pipeline.readers.folder.upright import guess_up, turn_up
from tests.helpers import planes
from tests.helpers.raw_reader_suite import FramesSuite
from tests.helpers.room_frames import COLOR_SIZE, DEPTH_SIZE, K_COLOR, K_DEPTH, LOST, Y_UP, frames
from tests.helpers.tiny_folders import LAYOUTS, Written, write_own, write_r3d


def opened(folder: Path) -> FolderFrames:
    return open_frames(scan_files(folder.parent, folder.name)["frames"])


class Suite(FramesSuite):
    """What is written as text or quaternions comes back to the accuracy of float64."""

    layout: Written
    color_size, depth_size = COLOR_SIZE, DEPTH_SIZE

    def __init_subclass__(cls) -> None:
        layout = cls.layout
        # The shared suite compares depth as it is kept, in the unit of the layout.
        cls.written = layout.frames()
        cls.depth_scale = 1000.0 * layout.unit
        every = (len(cls.written), 1, 1)
        cls.color_intrinsics = np.tile(K_COLOR, every) if layout.per_frame else K_COLOR
        cls.depth_intrinsics = np.tile(K_DEPTH, every) if layout.per_frame else K_DEPTH

    def write(self, folder: Path) -> None:
        self.layout.write(folder / "scan", frames())

    def open(self, folder: Path) -> FolderFrames:
        return opened(folder / "scan")

    def damage(self, folder: Path, frame_id: int) -> None:
        for pattern in self.layout.images:
            found = sorted((folder / "scan").glob(pattern.format(i=frame_id)))
            path = found[frame_id] if "*" in pattern else found[0]
            path.write_bytes(bytes(200) + path.read_bytes()[200:])

    def test_has_the_sizes_and_intrinsics_of_the_sensor(self, folder: Path) -> None:
        reader = self.open(folder)
        assert (reader.color_size, reader.depth_size) == (self.color_size, self.depth_size)
        assert reader.depth_scale == self.depth_scale
        assert np.allclose(reader.color_intrinsics, self.color_intrinsics, rtol=1e-14)
        assert np.allclose(reader.depth_intrinsics, self.depth_intrinsics, rtol=1e-14)
        assert reader.color_intrinsics.shape == self.color_intrinsics.shape

    def test_poses_are_as_written_and_not_finite_where_lost(
        self, folder: Path, lost: list[int]
    ) -> None:
        reader = self.open(folder)
        assert lost == [LOST]
        for frame in self.written:
            pose = reader.pose(frame.frame_id)
            assert (pose.shape, pose.dtype) == ((4, 4), np.float64)
            if frame.frame_id in lost:
                assert not np.isfinite(pose).all()
            else:
                assert np.allclose(pose, frame.camera_to_world, atol=1e-14, rtol=0)


class TestOwn(Suite):
    layout = LAYOUTS["own"]


class TestExport(Suite):
    layout = LAYOUTS["export"]


class TestTum(Suite):
    layout = LAYOUTS["tum"]


class Test3DMatch(Suite):
    layout = LAYOUTS["3dmatch"]


class TestOpen3D(Suite):
    layout = LAYOUTS["open3d"]


class TestScannerApp(Suite):
    layout = LAYOUTS["scanner"]


class TestRecord3D(Suite):
    layout = LAYOUTS["record3d"]


class TestRecord3DOfExr(Suite):
    layout = LAYOUTS["exr"]


@pytest.mark.parametrize("name", [*LAYOUTS, "r3d"])
def test_every_layout_sees_the_planes_of_the_room(tmp_path: Path, name: str) -> None:
    write = write_r3d if name == "r3d" else LAYOUTS[name].write
    write(tmp_path / "scan", frames(whole=True))
    seen = seen_points(opened(tmp_path / "scan"))
    assert len(seen) > 500
    # Depth is rounded to a millimetre along rays of at most 45 degrees.
    assert planes.distance_to_planes(planes.box_room(), seen).max() < 0.0005 * np.sqrt(2)


def test_an_archive_reads_like_its_unpacked_files(tmp_path: Path) -> None:
    LAYOUTS["record3d"].write(tmp_path / "a", frames())
    write_r3d(tmp_path / "b", frames())
    first, second = opened(tmp_path / "a"), opened(tmp_path / "b")
    for i in first.frame_ids:
        one, other = first.read(i), second.read(i)
        assert one.color == other.color
        assert np.array_equal(one.depth, other.depth)
    assert [first.read(i).timestamp for i in (0, 3)] == [0, 50_000]


def test_a_world_with_another_axis_up_is_rotated(tmp_path: Path) -> None:
    written = frames(whole=True)
    turned = [replace(f, camera_to_world=Y_UP @ f.camera_to_world) for f in written]
    write_own(tmp_path / "scan", turned)
    reader = opened(tmp_path / "scan")
    for frame in written:
        assert np.allclose(reader.pose(frame.frame_id), frame.camera_to_world, atol=1e-14)
    assert np.array_equal(reader.turn, np.linalg.inv(Y_UP)[:3, :3])


@given(st.sampled_from(["x", "-x", "y", "-y", "z", "-z"]))
def test_up_is_found_and_turned_to_z_exactly(up: str) -> None:
    turn = turn_up(up)
    axis = np.eye(3)["xyz".index(up[-1])] * (-1 if up[0] == "-" else 1)
    assert (turn @ axis).tolist() == [0, 0, 1]
    assert np.linalg.det(turn) == 1
    back = np.eye(4)
    back[:3, :3] = turn.T
    assert guess_up([back @ pose for pose in planes.cameras(7)]) == up


def test_cameras_that_look_down_or_nowhere_do_not_rotate_the_world() -> None:
    down = [planes.look_at((0, 0, 2), (np.cos(a), np.sin(a), 0.5)) for a in range(6)]
    for poses in (down, [], [np.full((4, 4), np.nan)]):
        assert guess_up(poses) == "z"


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "exr"])
def test_a_first_image_that_is_empty_does_not_take_the_recording_with_it(
    name: str, tmp_path: Path
) -> None:
    layout = LAYOUTS[name]
    layout.write(tmp_path / "scan", frames(whole=True))
    first = min((tmp_path / "scan").glob(layout.images[0].format(i=0)))
    first.write_bytes(b"")
    reader = opened(tmp_path / "scan")
    assert reader.color_size == COLOR_SIZE
    assert len(reader.frame_ids) == len(frames(whole=True))
