"""Points of a fused cloud: kept where frames see them, left out where others look through."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.readers.folder import witnesses
from pipeline.readers.folder.fuse import fuse
from tests.helpers import planes
from tests.helpers.room_frames import frames, put
from tests.helpers.tiny_folders import write_own
from tests.other_files.metadata import opened

SIZE = (48, 36)
K = planes.color_intrinsics(SIZE)


def wall(metres: float, hole: bool = False) -> np.ndarray:
    """Depth of a wall straight ahead; with `hole` nothing is measured in its left half."""
    depth = np.full(SIZE[::-1], metres)
    depth[:, : SIZE[0] // 2] *= not hole
    return depth


def at(metres: float) -> np.ndarray:
    """A thousand points of such a wall, away from the edges of the image."""
    y, x = np.mgrid[-0.3:0.3:25j, -0.3:0.3:40j].reshape(2, -1) * metres
    return np.column_stack([x, y, np.full(len(x), metres)])


def look(*depths: np.ndarray) -> list[witnesses.Witness]:
    return [witnesses.witness(depth, K, np.eye(4)) for depth in depths]


def test_frames_see_points_near_their_depth_and_look_through_those_before_it() -> None:
    seen, denied = witnesses.count(look(wall(2.0), wall(3.0), wall(1.0), wall(2.05)), at(2.0))
    assert (seen == 2).all(), "5 cm is noise"
    assert (denied == 1).all(), "what is nearer than a point may hide it, which is no fault"


def test_places_without_depth_and_edges_say_nothing() -> None:
    left = at(2.0)[:, 0] < -0.2
    _, denied = witnesses.count(look(wall(3.0, hole=True)), at(2.0))
    assert not denied[left].any()
    assert denied[at(2.0)[:, 0] > 0.2].all()
    edge = wall(3.0)
    edge[:, : SIZE[0] // 2] = 2.0
    column = np.array([[0.02, 0.0, 2.0]])  # a pixel beyond the edge
    assert not witnesses.count(look(edge), column)[1].any()


def test_a_point_of_one_frame_that_another_looks_through_is_left_out() -> None:
    both = np.concatenate([at(2.0), at(3.0), at(3.0)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stay = witnesses.kept(look(wall(2.0), wall(3.0), wall(3.0)), both)
    assert np.array_equal(stay, both[:, 2] == 3)


def test_a_cloud_of_which_most_is_denied_and_one_of_hardly_any_points_are_refused() -> None:
    both = np.concatenate([at(2.0), at(1.5), at(3.0)])
    with pytest.raises(BadInput, match=r"contradict each other: they look through 67% of what"):
        witnesses.kept(look(wall(3.0)), both)
    for number in (2, 19, 499):
        with pytest.raises(BadInput, match=f"frames: give {number} points together"):
            witnesses.kept(look(wall(3.0)), at(3.0)[:number])


def test_the_share_that_a_single_frame_saw_is_told() -> None:
    both = np.concatenate([at(3.0), -at(3.0)])
    with pytest.warns(UserWarning, match="50% of the surface was seen by a single frame"):
        assert witnesses.kept([*look(wall(3.0), wall(3.0)), behind()], both).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert witnesses.kept(look(wall(3.0), wall(3.0)), at(3.0)).all()


def behind() -> witnesses.Witness:
    """A frame that looks the other way, at a wall as far away."""
    return witnesses.witness(wall(3.0), K, np.diag([-1.0, 1, -1, 1]))


def test_a_phantom_in_one_image_is_in_no_cloud(tmp_path: Path) -> None:
    """A hand before the camera, or a sensor's error: other frames see the wall behind it."""
    size = (96, 72)
    k = planes.color_intrinsics(size)
    written = frames(10, size, size, k, whole=True)
    phantom = written[4].depth.copy()
    phantom[20:50, 30:60] = 600
    written[4] = replace(written[4], depth=phantom)
    write_own(tmp_path / "scan", written)
    put(tmp_path / "scan/intrinsics.txt", k)
    xyz = fuse(opened(tmp_path / "scan"))[0]
    away = planes.distance_to_planes(planes.box_room(), xyz)
    assert (away > 0.15).sum() < 0.001 * len(xyz)


def test_tiny_images_give_their_points(tmp_path: Path) -> None:
    write_own(tmp_path / "scan", frames(3, whole=True))
    assert len(fuse(opened(tmp_path / "scan"))[0]) > witnesses.FEWEST


def test_positions_in_millimetres_are_no_walk(tmp_path: Path) -> None:
    written = frames(4, whole=True)
    for frame in written:
        frame.camera_to_world[:3, 3] *= 1000
    write_own(tmp_path / "scan", written)
    with pytest.raises(BadInput, match=r"poses: cameras are [\d,]+ m from one frame to the next"):
        fuse(opened(tmp_path / "scan"))
