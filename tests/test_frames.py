"""Frames: what is selected, what is left out, what is refused."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.stages import frames
from pipeline.store import groups
from tests.helpers import room


def test_every_nth_frame_is_kept_as_it_was() -> None:
    raw = room.recording(n_frames=7)
    raw.frame_ids = [3, 5, 6, 10, 11, 12, 20]
    entry = room.run(frames, {"every": 3}, raw=raw)
    kept = [3, 10, 20]
    assert raw.was_read == kept, "no other image may be read"
    assert entry["frame_id"][:].tolist() == kept
    assert entry["timestamp"][:].tolist() == [30, 100, 200]
    offsets, color = entry["color_offsets"][:], entry["color"][:]
    assert len(offsets) == 4
    assert offsets[-1] == len(color)
    for row, index in enumerate([0, 3, 6]):
        blob = color[offsets[row] : offsets[row + 1]].tobytes()
        assert blob == raw.colors[index]
        np.testing.assert_array_equal(entry["depth"][row], raw.depth[index])
        np.testing.assert_array_equal(entry["camera_to_world"][row], raw.poses[index])
        np.testing.assert_array_equal(entry["color_intrinsics"][row], raw.color_intrinsics)
        np.testing.assert_array_equal(entry["depth_intrinsics"][row], raw.depth_intrinsics)
    assert entry["depth"].chunks == (1, 48, 64), "a frame of depth is read without the others"
    assert dict(entry.attrs) == {
        "color_size": [96, 72],
        "depth_size": [64, 48],
        "depth_scale": 1000.0,
        "damaged": [],
        "invalid_pose": [],
    }


def test_intrinsics_that_change_from_frame_to_frame_stay_with_their_frame() -> None:
    raw = room.recording(n_frames=5)
    raw.poses[2] = -np.inf
    growing = 1 + np.arange(5)[:, None, None] / 10
    raw.color_intrinsics = raw.color_intrinsics * growing
    raw.depth_intrinsics = raw.depth_intrinsics * growing
    entry = room.run(frames, {"every": 2}, raw=raw)
    for name in ("color_intrinsics", "depth_intrinsics"):
        np.testing.assert_array_equal(entry[name][:], getattr(raw, name)[[0, 4]])


LOST = {
    "-inf": np.full((4, 4), -np.inf),
    "NaN in one place": np.where(np.arange(16).reshape(4, 4) == 7, np.nan, np.eye(4)),
    "zeros": np.zeros((4, 4)),
    "singular": np.diag([1.0, 1, 0, 1]),
    "mirrored": np.diag([1.0, 1, -1, 1]),
}


@pytest.mark.parametrize("pose", LOST.values(), ids=LOST)
def test_a_frame_without_a_pose_is_left_out_and_listed(pose: np.ndarray) -> None:
    raw = room.recording()
    raw.poses[2] = pose
    entry = room.run(frames, {"every": 1}, raw=raw)
    assert entry["frame_id"][:].tolist() == [0, 1, 3]
    assert entry.attrs["invalid_pose"] == [2]
    assert raw.was_read == [0, 1, 3]


def test_only_selected_frames_are_listed_as_without_a_pose() -> None:
    raw = room.recording()
    raw.poses[1] = raw.poses[2] = -np.inf
    entry = room.run(frames, {"every": 2}, raw=raw)
    assert entry["frame_id"][:].tolist() == [0]
    assert entry.attrs["invalid_pose"] == [2]


def test_a_scan_without_any_pose_is_refused() -> None:
    raw = room.recording()
    raw.poses[:] = -np.inf
    with pytest.raises(BadInput, match="none of the 4 selected has a valid pose"):
        room.run(frames, {"every": 1}, raw=raw)


JPEG = room.encoded(np.random.default_rng(0).integers(0, 256, (72, 96, 3), np.uint8))
DAMAGED = {
    "cut off": (JPEG[: len(JPEG) // 2], "damaged"),
    "empty": (b"", "damaged"),
    "no image": (b"\x00" * 3000, "damaged"),
    "header overwritten": (b"\x00" * 100 + JPEG[100:], "damaged"),
    "another size": (room.encoded(np.zeros((72, 90, 3), np.uint8)), "90, 72"),
    "another format": (room.encoded(np.zeros((72, 96, 3), np.uint8), "BMP"), "damaged"),
}


@pytest.mark.parametrize(("blob", "said"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_image_is_refused_by_the_name_of_its_frame(blob: bytes, said: str) -> None:
    raw = room.recording()
    raw.colors[2] = blob
    with pytest.raises(BadInput, match=rf"^frame 2: .*{said}.*; .+\.$"):
        room.run(frames, {"every": 1}, raw=raw)


def test_a_png_is_as_good_as_a_jpeg() -> None:
    raw = room.recording()
    raw.colors = [room.encoded(np.zeros((72, 96, 3), np.uint8), "PNG")] * 4
    assert room.run(frames, {"every": 1}, raw=raw)["frame_id"].shape == (4,)


def test_depth_of_another_size_is_refused() -> None:
    raw = room.recording()
    raw.depth = raw.depth[:, :-1]
    with pytest.raises(BadInput, match=r"frame 0: has depth of \(64, 47\) pixels"):
        room.run(frames, {"every": 1}, raw=raw)


def test_equal_recordings_give_equal_bytes(tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        with groups.create(tmp_path / "entry") as out:
            frames.Worker({"every": 1})(out, raw=room.recording())
        made.append((tmp_path / "entry").read_bytes())
    assert made[0] == made[1]
