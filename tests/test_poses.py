"""What can be a camera, and what a mistake of all poses looks like."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pipeline.errors import BadInput
from pipeline.geometry.poses import is_rigid, require_intrinsics, require_poses
from tests.helpers.room_frames import COLOR_SIZE, K_COLOR

MIRROR = np.diag([1.0, -1, 1, 1])
seeds = st.integers(0, 2**32 - 1)


def poses(seed: int, count: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    found = []
    for rotation in Rotation.random(count, rng):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation.as_matrix(), rng.uniform(1, 5, 3)
        found.append(pose)
    return found


@given(seeds, st.integers(2, 9))
def test_rotations_are_poses_however_they_were_rounded(seed: int, decimals: int) -> None:
    assert all(is_rigid(pose.round(decimals)) for pose in poses(seed))
    require_poses([pose.round(decimals) for pose in poses(seed)], "here", "do something")


@given(seeds)
def test_lost_tracking_is_no_mistake(seed: int) -> None:
    lost = [np.full((4, 4), -np.inf), np.full((4, 4), np.nan), np.zeros((4, 4))]
    assert not any(map(is_rigid, lost))
    require_poses(lost, "here", "do something")
    require_poses([*poses(seed, 3), poses(seed)[0] @ MIRROR], "here", "do something")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda pose: pose.T, "transposed, written column by column (5 of 5)"),
        (lambda pose: pose @ MIRROR, "left-handed"),
        (lambda pose: pose @ np.diag([1.5, 1.5, 1.5, 1]), "scaled by 1.5"),
        (lambda pose: pose @ np.diag([1, 1, 3.0, 1]), "not at right angles or not of length 1"),
        (lambda pose: np.vstack([pose[:3], [0, 0, 0, 5]]), "last row is 0 0 0 5"),
    ],
)
def test_a_mistake_of_all_poses_is_named(change, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput) as caught:
        require_poses(map(change, poses(0)), "a/scan", "export it again")
    assert str(caught.value).startswith("a/scan: has poses that are no rigid motions: ")
    assert said in str(caught.value)


def test_intrinsics_of_each_frame_are_looked_at() -> None:
    matrices = np.stack([K_COLOR] * 3)
    assert require_intrinsics(matrices, "k", "fix it", COLOR_SIZE) is matrices
    matrices[1] = matrices[1].T
    with pytest.raises(BadInput, match="k: has intrinsics that are transposed"):
        require_intrinsics(matrices, "k", "fix it", COLOR_SIZE)
