"""A room whose images and points disagree is reported, with the offset in cm."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.geometry.agreement import measure, require
from pipeline.scan import Cloud
from tests.helpers import planes
from tests.helpers.room import Recording, recording


@pytest.fixture(scope="module")
def cloud() -> Cloud:
    surface = planes.surface(planes.box_room(), 0.04)
    count = len(surface.vertices)
    return Cloud(
        surface.vertices,
        np.zeros((count, 3), np.uint8),
        surface.normal,
        np.full(count, -1, np.int32),
    )


@pytest.fixture(scope="module")
def frames() -> Recording:
    return recording(8)


def moved(cloud: Cloud, by: tuple[float, float, float]) -> Cloud:
    return replace(cloud, xyz=cloud.xyz + np.array(by, np.float32))


def turned(cloud: Cloud, angle: int) -> Cloud:
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    about_z = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], np.float32)
    middle = (cloud.xyz.min(0) + cloud.xyz.max(0)) / 2
    xyz = (cloud.xyz - middle) @ about_z.T + middle
    return replace(cloud, xyz=xyz, normal=cloud.normal @ about_z.T)


def test_images_and_points_of_one_room_agree(frames: Recording, cloud: Cloud) -> None:
    found = require(frames, cloud, "Area_1_office_1")
    assert found.turn == 0
    assert found.offset < 0.03  # less than the spacing of the points
    assert np.linalg.norm(found.shift) < 0.005


@pytest.mark.parametrize("by", [(0.1, 0, 0), (0, -0.25, 0), (0.2, 0.3, -0.1), (0, 0, 0.07)])
def test_a_shift_is_measured_to_the_centimetre_and_reported(
    frames: Recording, cloud: Cloud, by: tuple[float, float, float]
) -> None:
    far = 100 * float(np.linalg.norm(by))
    found = measure(frames, moved(cloud, by))
    assert 100 * found.offset == pytest.approx(far, abs=1)
    assert np.allclose(found.shift, by, atol=0.01)
    with pytest.raises(BadInput, match=rf"Area_1_office_1: .* disagree by {far:.0f} cm") as caught:
        require(frames, moved(cloud, by), "Area_1_office_1")
    assert "\n" not in str(caught.value)


def test_a_disagreement_that_right_scans_do_not_have_is_a_warning_below_the_limit(
    frames: Recording, cloud: Cloud
) -> None:
    said = "a: its images and its points disagree by 8 cm, those of right scans by less than 5 cm"
    with pytest.warns(UserWarning, match=said):
        require(frames, moved(cloud, (0, 0, 0.08)), "a", limit=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        require(frames, cloud, "a", limit=0.3)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_rotation_is_found_and_reported(frames: Recording, cloud: Cloud, angle: int) -> None:
    with pytest.raises(BadInput, match=f"as if one were turned by {angle} degrees"):
        require(frames, turned(cloud, angle), "Area_1_office_1")


def test_another_room_is_reported(frames: Recording, cloud: Cloud) -> None:
    with pytest.raises(BadInput, match=r"disagree by [0-9]{3} cm"):
        require(frames, moved(cloud, (-4.1, 6.2, 0)), "Area_5_office_1")


def test_a_third_of_the_pixels_may_see_other_rooms(frames: Recording, cloud: Cloud) -> None:
    beyond = frames.depth.copy()
    beyond[:, :, :20] = 9000
    found = require(replace(frames, depth=beyond), cloud, "Area_1_office_1")
    assert found.offset < 0.03


def test_each_frame_is_read_with_its_own_intrinsics(frames: Recording, cloud: Cloud) -> None:
    k = np.repeat(frames.depth_intrinsics[None], 8, axis=0)
    assert require(replace(frames, depth_intrinsics=k), cloud, "a").offset < 0.03
    k[1::2, [0, 1], [0, 1]] *= 1.5
    assert measure(replace(frames, depth_intrinsics=k), cloud).offset > 0.05


def test_frames_without_any_depth_are_refused(
    frames: Recording, cloud: Cloud, tmp_path: Path
) -> None:
    lost = np.full((8, 4, 4), -np.inf)
    for blind in (replace(frames, depth=0 * frames.depth), replace(frames, poses=lost)):
        with pytest.raises(BadInput, match="no frame with a pose has depth"):
            measure(blind, cloud)
