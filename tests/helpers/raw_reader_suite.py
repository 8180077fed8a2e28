"""Tests that every raw reader must pass: subclass `FramesSuite` for each reader."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.scan import Cloud, Frame, Labels, RawFrames


class FramesSuite:
    """A subclass writes frames in its format, opens them, and damages one's images on disk.

    It gives frames of which at least one has lost its pose and one has no depth.
    """

    written: list[Frame]
    color_size: tuple[int, int]
    depth_size: tuple[int, int]
    depth_scale: float
    color_intrinsics: np.ndarray
    depth_intrinsics: np.ndarray

    def write(self, folder: Path) -> None:
        raise NotImplementedError

    def open(self, folder: Path) -> RawFrames:
        raise NotImplementedError

    def damage(self, folder: Path, frame_id: int) -> None:
        """Overwrite the first bytes of the frame's colour and depth images."""
        raise NotImplementedError

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        self.write(tmp_path)
        return tmp_path

    @pytest.fixture
    def lost(self) -> list[int]:
        lost = [f.frame_id for f in self.written if not np.isfinite(f.camera_to_world).all()]
        assert 0 < len(lost) < len(self.written)
        return lost

    def test_lists_all_frames(self, folder: Path) -> None:
        assert list(self.open(folder).frame_ids) == [frame.frame_id for frame in self.written]

    def test_has_the_sizes_and_intrinsics_of_the_sensor(self, folder: Path) -> None:
        reader = self.open(folder)
        assert tuple(reader.color_size) == self.color_size
        assert tuple(reader.depth_size) == self.depth_size
        assert reader.depth_scale == self.depth_scale
        assert np.array_equal(reader.color_intrinsics, self.color_intrinsics)
        assert np.array_equal(reader.depth_intrinsics, self.depth_intrinsics)

    def test_poses_are_as_written_and_not_finite_where_lost(
        self, folder: Path, lost: list[int]
    ) -> None:
        reader = self.open(folder)
        for frame in self.written:
            pose = reader.pose(frame.frame_id)
            assert pose.shape == (4, 4)
            assert pose.dtype == np.float64
            if frame.frame_id in lost:
                assert not np.isfinite(pose).all()
            else:
                assert np.array_equal(pose, frame.camera_to_world)

    def test_reads_what_was_written_in_any_order(self, folder: Path) -> None:
        reader = self.open(folder)
        for frame in reversed(self.written):
            read = reader.read(frame.frame_id)
            assert read.frame_id == frame.frame_id
            assert read.color == frame.color
            assert read.depth.dtype == np.uint16
            assert np.array_equal(read.depth, frame.depth)
            assert np.array_equal(read.camera_to_world, reader.pose(frame.frame_id))
        assert not self.written[1].depth.any()

    def test_a_damaged_image_is_refused_and_affects_no_other_frame(self, folder: Path) -> None:
        bad, good = self.written[-1], self.written[0]
        self.damage(folder, bad.frame_id)
        reader = self.open(folder)
        assert reader.read(good.frame_id).color == good.color
        with pytest.raises(BadInput):
            reader.read(bad.frame_id)

    def test_images_of_a_lost_frame_are_not_needed(self, folder: Path, lost: list[int]) -> None:
        for frame_id in lost:
            self.damage(folder, frame_id)
        reader = self.open(folder)
        for frame in self.written:
            pose = reader.pose(frame.frame_id)
            assert np.isfinite(pose).all() == (frame.frame_id not in lost)
            if frame.frame_id not in lost:
                assert np.array_equal(reader.read(frame.frame_id).depth, frame.depth)


def assert_is_cloud(cloud: Cloud) -> None:
    """The shapes, dtypes and units that the stages rely on."""
    count = len(cloud.xyz)
    assert count > 0
    assert (cloud.xyz.shape, cloud.xyz.dtype) == ((count, 3), np.float32)
    assert (cloud.rgb.shape, cloud.rgb.dtype) == ((count, 3), np.uint8)
    assert (cloud.normal.shape, cloud.normal.dtype) == ((count, 3), np.float32)
    assert (cloud.segment.shape, cloud.segment.dtype) == ((count,), np.int32)
    assert np.isfinite(cloud.xyz).all()
    length = np.linalg.norm(cloud.normal, axis=1)
    assert (np.isclose(length, 1, atol=1e-5) | (length == 0)).all()
    assert cloud.segment.min() >= -1


def assert_is_labels(labels: Labels, num_points: int, num_classes: int) -> None:
    """The shapes, dtypes and ranges that the stages rely on."""
    assert (labels.label.shape, labels.label.dtype) == ((num_points,), np.int16)
    assert (labels.instance.shape, labels.instance.dtype) == ((num_points,), np.int32)
    assert labels.label.min() >= -1
    assert labels.label.max() < num_classes
    assert labels.instance.min() >= 0
