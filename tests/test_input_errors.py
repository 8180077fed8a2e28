"""The errors that a benchmark puts into the input of a training are those that it names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scan import Frame
from tests.helpers.input_errors import moved, rng_of, wrong_tags

TAGS = st.lists(st.booleans(), min_size=1, max_size=25).map(np.array)
SHARES = st.floats(0, 1)


@pytest.mark.parametrize(("share", "wrong"), [(0.1, 1), (0.3, 3)])
def test_a_share_of_the_tags_is_missing_and_as_many_are_added(share: float, wrong: int) -> None:
    present = np.arange(20) < 10
    found = wrong_tags(present, share, rng_of("scene9000_00"))
    assert (present & ~found).sum() == wrong
    assert (found & ~present).sum() == wrong


def test_the_share_holds_over_many_scans_with_few_classes() -> None:
    present = np.arange(20) < 4
    scans = [wrong_tags(present, 0.1, rng_of(f"scene{i:04}_00")) for i in range(1000)]
    missing = sum(int((present & ~found).sum()) for found in scans)
    assert missing / (4 * len(scans)) == pytest.approx(0.1, abs=0.01)


def test_errors_of_a_scan_are_the_same_each_time_and_other_than_those_of_another() -> None:
    present = np.arange(20) < 10
    once, again, other = (
        wrong_tags(present, 0.3, rng_of(scan)) for scan in ("scene0_00", "scene0_00", "scene1_00")
    )
    assert once.tolist() == again.tolist()
    assert once.tolist() != other.tolist()


@given(TAGS, SHARES, st.integers(0, 100))
def test_a_scan_keeps_its_number_of_tags(present: np.ndarray, share: float, seed: int) -> None:
    before = present.copy()
    found = wrong_tags(present, share, np.random.default_rng(seed))
    assert found.sum() == present.sum(), "so it is never without any"
    assert (present == before).all()


@given(TAGS, SHARES, SHARES, st.integers(0, 100))
def test_what_is_wrong_at_a_share_is_wrong_at_a_larger_one(
    present: np.ndarray, one: float, other: float, seed: int
) -> None:
    few, many = (
        wrong_tags(present, share, np.random.default_rng(seed)) != present
        for share in sorted([one, other])
    )
    assert (many | ~few).all()


def test_cameras_move_by_2_cm_and_do_not_turn() -> None:
    depth, pose = np.zeros((1, 1), np.uint16), np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    frames = [Frame(i, 0, b"", depth, pose) for i in range(3000)]
    poses = np.stack([frame.camera_to_world for frame in moved(frames, rng_of("scene9000_00"))])
    offsets = poses[:, :3, 3]
    assert np.sqrt((offsets**2).sum(1).mean()) == pytest.approx(0.02, rel=0.03)
    assert np.abs(offsets.mean(0)).max() < 0.001
    assert (poses[:, :3, :3] == pose[:3, :3]).all()


def test_a_camera_without_a_pose_stays_without() -> None:
    lost = Frame(0, 0, b"", np.zeros((1, 1), np.uint16), np.full((4, 4), -np.inf))
    (found,) = moved([lost], rng_of("scene9000_00"))
    assert (found.camera_to_world == -np.inf).all()
