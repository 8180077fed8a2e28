"""Pictures of scans show what is in front, from above and from a corner."""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from model.data.entries import read_array, read_entry
from model.pages import pictures, views
from model.pages.splat import nearest
from tests.helpers.tiny_entries import write_room


def image_of(uri: str) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) of a data URI."""
    with Image.open(BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


def box(rng: np.random.Generator, size: tuple[float, float, float]) -> NDArray[np.float64]:
    """Points in a box from the origin on, and its eight corners."""
    corners = np.stack(np.meshgrid(*[[0, 1]] * 3), -1).reshape(-1, 3)
    return np.concatenate([rng.random((500, 3)), corners]) * size


def test_of_two_points_the_near_one_is_drawn_whatever_their_order() -> None:
    below, top = [0.5, 0.5, 0.0], [0.5, 0.5, 1.0]
    edges = [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    for points, front in (([below, top, *edges], 1), ([top, below, *edges], 0)):
        xyz = np.array(points)
        view = views.above(xyz, width=51)
        found = nearest(xyz, view, 0.01)
        assert found[view.height // 2, view.width // 2] == front
        assert (found[5, 25:30] == -1).all(), "nothing is where no point is"


@given(turn=st.floats(0, 6.3), wide=st.floats(0.1, 30), deep=st.floats(0.1, 30))
def test_the_whole_scan_is_in_both_pictures(turn: float, wide: float, deep: float) -> None:
    xyz = box(np.random.default_rng(0), (wide, deep, 2.0))
    cos, sin = np.cos(turn), np.sin(turn)
    xyz[:, :2] = xyz[:, :2] @ np.array([[cos, -sin], [sin, cos]]) + 5
    for view in (views.above(xyz), views.corner(xyz)):
        uv, forward, scale = view.project(xyz)
        assert (uv >= 0).all()
        assert (uv <= [view.width, view.height]).all()
        assert (scale > 0).all()
        assert not view.focal or (forward > 0).all()
        assert np.ptp(uv, axis=0).max() > 0.6 * view.width, "and fills them"
        np.testing.assert_allclose(view.rotation @ view.rotation.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(view.rotation) == pytest.approx(1), "no picture is mirrored"


def test_up_is_up_in_the_corner_view() -> None:
    xyz = box(np.random.default_rng(0), (4, 3, 2))
    middle = np.array([[2, 1.5, 0.0], [2, 1.5, 2.0]])
    (low, high), *_ = views.corner(xyz).project(middle)
    assert high[1] < low[1]


def test_the_longer_side_of_a_room_lies_across() -> None:
    xyz = box(np.random.default_rng(0), (2, 6, 2))
    view = views.above(xyz)
    assert view.width > 2 * view.height


def test_a_room_loses_its_ceiling_and_a_low_scan_nothing() -> None:
    room = box(np.random.default_rng(0), (4, 4, 2.5))
    kept = views.below_ceiling(room)
    assert not kept[room[:, 2] > 2].any()
    assert kept[room[:, 2] < 1.8].all()
    assert views.below_ceiling(room * [1, 1, 0.4]).all()


def test_a_picture_has_the_colours_of_the_classes(tmp_path: Path) -> None:
    voxels = read_entry(write_room(tmp_path, "room", 0).path("voxels"))
    label = np.where(read_array(voxels, "voxel_xyz")[:, 2] < 0.1, 0, 1)
    colors = np.array([[10, 200, 30], [250, 0, 0]], np.uint8)
    none = np.full(len(label), -1)
    columns = [
        pictures.input_colors(voxels),
        pictures.of_classes("classes", label, colors),
        pictures.of_classes("none", none, colors),
        pictures.right_and_wrong(label, np.where(label == 0, 0, none)),
    ]
    shown = pictures.draw(voxels, columns)
    assert [each.title for each in shown] == ["input colour", "classes", "none", "right and wrong"]
    of_classes, of_none, judged = (
        {tuple(color) for color in image_of(each.pictures[0]).reshape(-1, 3).tolist()}
        for each in shown[1:]
    )
    assert of_classes == {(255, 255, 255), (10, 200, 30), (250, 0, 0)}
    assert of_none == {(255, 255, 255), pictures.NOTHING}
    assert judged == {(255, 255, 255), pictures.NOTHING, pictures.RIGHT}
    sizes = [{image_of(each.pictures[view]).shape for each in shown} for view in (0, 1)]
    assert [len(size) for size in sizes] == [1, 1], "all columns show the same view"


def test_surfaces_that_face_away_do_not_hide_a_room() -> None:
    rng = np.random.default_rng(0)
    flat = rng.random((4000, 2))
    lid = np.column_stack([flat, np.full(4000, 0.5)])
    floor = np.column_stack([flat, np.zeros(4000)])
    xyz, down = np.concatenate([lid, floor]), np.repeat([[0, 0, -1.0], [0, 0, 1.0]], 4000, axis=0)
    view = views.above(xyz, width=40)
    assert pictures._faces(xyz, down, view).tolist() == [False] * 4000 + [True] * 4000
    assert pictures._faces(xyz, -down, view).all(), "normals that face outside say nothing"
    assert pictures._faces(xyz, 0 * down, view).all(), "and unknown ones neither"


def test_classes_of_few_points_are_not_in_the_legend() -> None:
    label = np.zeros(10_000, np.int64)
    label[:5], label[5:100], label[100:200] = 3, 2, -1
    assert pictures.classes_of({"a": label, "b": np.full(10_000, -1)}) == [0, 2]
