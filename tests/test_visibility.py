"""Visibility: in a scene of known planes exactly what can be seen is seen."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.geometry import cameras as geometry
from pipeline.geometry.visibility import Camera, see
from pipeline.stages.projections import Weighting, weigh
from tests.helpers import room

OFF = Weighting(**cast(dict[str, Any], room.EQUAL_WEIGHTS))
STRICT = {"absolute_tolerance": 0.02, "relative_tolerance": 0.0, "border": 0.0}
WIDTH, HEIGHT = 160, 120
K = np.array([[150.0, 0, 80.2], [0, 152, 59.1], [0, 0, 1]])
WALL, FRONT = 3.0, 2.0  # depth of a wall, and of a box before it


def camera(depth: np.ndarray, **changes: Any) -> Camera:
    """A camera at the origin whose axes are the world's; `depth` in metres."""
    millimetres = np.rint(depth * 1000).astype(np.uint16)
    return replace(Camera((WIDTH, HEIGHT), K, millimetres, 1000.0, K, np.eye(4)), **changes)


def wall_and_box(k: np.ndarray = K, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    """Depth (h, w) of a wall with a box before it that covers |x| < 0.4, |y| < 0.3."""
    v, u = np.mgrid[: size[1], : size[0]]
    x, y, _ = geometry.unproject(k, np.stack([u, v], -1).reshape(-1, 2), np.ones(u.size)).T
    box = (np.abs(x * FRONT) < 0.4) & (np.abs(y * FRONT) < 0.3)
    return np.where(box, FRONT, WALL).reshape(size[::-1])


def plane(z: float, half_width: float, half_height: float) -> np.ndarray:
    """Points a centimetre or so apart on the plane at depth z."""
    x = np.arange(-half_width, half_width, 0.013)
    y = np.arange(-half_height, half_height, 0.013)
    grid = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    return np.column_stack([grid, np.full(len(grid), z)]).astype(np.float32)


def test_a_box_hides_the_wall_behind_it_and_nothing_else() -> None:
    wall, box = plane(WALL, 2.5, 2.0), plane(FRONT, 0.4, 0.3)
    seen, uv, z = see(camera(wall_and_box()), np.vstack([wall, box]), **STRICT)
    shadow = np.array([0.4, 0.3]) * WALL / FRONT
    pixel = WALL / 150
    beside = (np.abs(wall[:, :2]) > shadow + pixel).any(1)
    behind = (np.abs(wall[:, :2]) < shadow - pixel).all(1)
    uv_wall = geometry.project(K, wall.astype(float))
    in_image = ((uv_wall >= -0.5) & (uv_wall < [WIDTH - 0.5, HEIGHT - 0.5])).all(1)
    on_wall = np.isin(np.arange(len(wall)), seen)
    assert in_image.sum() < len(wall), "the wall must reach beyond the image"
    assert behind.sum() > 1000
    assert not on_wall[behind].any()
    assert on_wall[beside & in_image].all()
    assert not on_wall[~in_image].any()
    box_seen = np.isin(np.arange(len(wall), len(wall) + len(box)), seen)
    inner = (np.abs(box[:, :2]) < np.array([0.4, 0.3]) - FRONT / 150).all(1)
    assert box_seen[inner].all()
    everything = np.vstack([wall, box])[seen].astype(float)
    np.testing.assert_allclose(uv, geometry.project(K, everything), atol=1e-9)
    np.testing.assert_allclose(z, everything[:, 2])


def test_what_a_tolerance_of_a_quarter_would_let_through_is_not_seen() -> None:
    behind = plane(WALL + 0.05, 1.0, 0.8)
    assert len(see(camera(np.full((HEIGHT, WIDTH), WALL)), behind, **STRICT)[0]) == 0
    loose = STRICT | {"absolute_tolerance": 0.0, "relative_tolerance": 0.25}
    assert len(see(camera(np.full((HEIGHT, WIDTH), WALL)), behind, **loose)[0]) == len(behind)


@pytest.mark.parametrize("z", [0.5, 2.0, 6.0])
def test_tolerances_add_up_absolute_and_relative(z: float) -> None:
    some = STRICT | {"absolute_tolerance": 0.01, "relative_tolerance": 0.02}
    limit = 0.01 + 0.02 * z
    view = camera(np.full((HEIGHT, WIDTH), z))
    for sign in (-1, 1):
        near = z + sign * 0.9 * limit
        far = z + sign * 1.1 * limit
        found, _, _ = see(view, np.array([[0, 0, near], [0, 0, far]], np.float32), **some)
        assert found.tolist() == [0]


def test_nothing_is_seen_behind_the_camera_or_in_its_plane() -> None:
    everywhere = np.vstack([plane(z, 1.0, 1.0) for z in (-3.0, -1e-3, 0.0)])
    everywhere = np.vstack([everywhere, [[0, 0, -1e-8]]]).astype(np.float32)
    blind = STRICT | {"absolute_tolerance": 1e6}
    assert len(see(camera(np.full((HEIGHT, WIDTH), 3.0)), everywhere, **blind)[0]) == 0


def test_nothing_is_seen_where_depth_was_not_measured() -> None:
    depth = np.full((HEIGHT, WIDTH), WALL)
    depth[:, :80] = 0
    wall = plane(WALL, 2.0, 1.0)
    blind = STRICT | {"absolute_tolerance": 1e6}
    seen, uv, _ = see(camera(depth), wall, **blind)
    assert len(seen) > 1000
    assert (uv[:, 0] >= 79.5).all()


@pytest.mark.parametrize("border", [0, 7, 10.5])
@pytest.mark.parametrize("far", [0.0, 1000.0])
def test_the_border_is_as_wide_as_it_says(border: float, far: float) -> None:
    """To a hundredth of a pixel, also a kilometre from the origin of the world."""
    fine = np.arange(-2, WIDTH + 2, 0.1)
    u, v = (x.ravel() for x in np.meshgrid(fine, np.array([20.0, 60, 100])))
    pixels = np.vstack([np.column_stack([u, v]), np.column_stack([v, u])]) + 0.013
    wall = geometry.unproject(K, pixels, np.full(len(pixels), WALL))
    pose = np.eye(4)
    pose[:3, 3] = far
    view = camera(np.full((HEIGHT, WIDTH), WALL), camera_to_world=pose)
    seen, _, _ = see(view, (wall + far).astype(np.float32), **(STRICT | {"border": border}))
    from_edge = np.minimum(pixels + 0.5, [WIDTH, HEIGHT] - (pixels + 0.5)).min(1)
    sure = np.abs(from_edge - border) > 0.01
    found = np.isin(np.arange(len(wall)), seen)
    np.testing.assert_array_equal(found[sure], from_edge[sure] >= border)


def test_depth_of_another_size_and_offset_is_looked_up_by_its_own_intrinsics() -> None:
    """At a depth of half the resolution the shadow of the box is where it was."""
    small = geometry.scale_intrinsics(K, (WIDTH, HEIGHT), (80, 60))
    view = camera(wall_and_box(small, (80, 60)), depth_intrinsics=small)
    full = camera(wall_and_box())
    wall = plane(WALL, 2.5, 2.0)
    found = np.isin(np.arange(len(wall)), see(view, wall, **STRICT)[0])
    expected = np.isin(np.arange(len(wall)), see(full, wall, **STRICT)[0])
    shadow = np.array([0.6, 0.45])
    unsure = (np.abs(np.abs(wall[:, :2]) - shadow) < 3 * WALL / 150).any(1)
    assert expected[~unsure].sum() > 1000
    np.testing.assert_array_equal(found[~unsure], expected[~unsure])


def _slowly(
    view: Camera, xyz: np.ndarray, some: dict[str, float]
) -> dict[int, tuple[float, float]]:
    """What `see` promises, point by point."""
    found = {}
    for i, point in enumerate(xyz.astype(float)):
        x, y, z = np.linalg.inv(view.camera_to_world)[:3] @ [*point, 1]
        if z <= 0:
            continue
        u, v, _ = view.color_intrinsics @ [x / z, y / z, 1]
        s, t, _ = np.floor(view.depth_intrinsics @ [x / z, y / z, 1] + 0.5)
        width, height = view.color_size
        margin = some["border"] - 0.5
        inside = margin <= u < width - 1 - margin and margin <= v < height - 1 - margin
        if not (inside and 0 <= s < view.depth.shape[1] and 0 <= t < view.depth.shape[0]):
            continue
        depth = view.depth[int(t), int(s)] / view.depth_scale
        if depth and abs(depth - z) <= some["absolute_tolerance"] + some["relative_tolerance"] * z:
            found[i] = (u, v)
    return found


@given(st.integers(0, 2**32), st.sampled_from([0.0, 10.0, 1000.0]))
@settings(max_examples=40)
def test_any_camera_sees_what_the_plain_definition_says(seed: int, far: float) -> None:
    """Also a kilometre from the origin, where float32 knows positions to 0.1 mm only."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    pose = np.eye(4)
    pose[:3, :3] = rotation * np.linalg.det(rotation)
    pose[:3, 3] = rng.normal(size=3) + far
    depth = rng.uniform(0.5, 3, (30, 40)) * (rng.random((30, 40)) < 0.9)
    small = geometry.scale_intrinsics(K, (WIDTH, HEIGHT), (40, 30))
    view = camera(depth, depth_intrinsics=small, camera_to_world=pose)
    xyz = (rng.normal(0, 2, (300, 3)) + far).astype(np.float32)
    some = STRICT | {"absolute_tolerance": 0.5, "relative_tolerance": 0.1, "border": 3}
    index, uv, _ = see(view, xyz, **some)
    expected = _slowly(view, xyz, some)
    assert index.tolist() == list(expected)
    np.testing.assert_allclose(uv, np.array(list(expected.values())).reshape(-1, 2), atol=1e-6)


def test_no_point_and_no_visible_point_are_no_error() -> None:
    view = camera(np.full((HEIGHT, WIDTH), WALL))
    for points in (np.zeros((0, 3), np.float32), np.full((5, 3), -4, np.float32)):
        index, uv, z = see(view, points, **STRICT)
        assert len(index) == len(uv) == len(z) == 0
        assert len(weigh(view, points[index], points[index], uv, z, OFF)) == 0
