"""Normals and superpoints of a cloud: flat within a superpoint, split at edges and at colours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadInput
from pipeline.geometry.superpoints import normals_and_superpoints
from tests.helpers import planes

SCENE = planes.box_room()


@pytest.fixture(scope="module")
def room() -> planes.Surface:
    """A point about every 2 cm, off by up to half of that along the surface, where it is free."""
    surface = planes.surface(SCENE, 0.02)
    before = surface.vertices + 0.05 * surface.normal
    free = inside(SCENE.room, before) & ~np.any([inside(s, before) for s in SCENE.solids], axis=0)
    along = np.random.default_rng(3).uniform(-0.01, 0.01, surface.vertices.shape)
    xyz = (surface.vertices + along * (surface.normal == 0)).astype(np.float32)
    return planes.Surface(
        xyz[free], surface.faces, surface.normal[free], surface.thing[free], surface.segment[free]
    )


def inside(box: planes.Box, xyz: np.ndarray) -> np.ndarray:
    return np.all((xyz > box.low) & (xyz < box.high), axis=1)


@pytest.fixture(scope="module")
def colors(room: planes.Surface) -> np.ndarray:
    return np.array([thing.rgb for thing in SCENE.things], np.uint8)[room.thing]


@pytest.fixture(scope="module")
def described(room: planes.Surface, colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return normals_and_superpoints(room.vertices, colors)


def purity(segment: np.ndarray, truth: np.ndarray) -> float:
    """Share of the points that have the most frequent truth of their superpoint."""
    table = np.zeros((segment.max() + 1, truth.max() + 1), int)
    np.add.at(table, (segment, truth), 1)
    return float(table.max(1).sum() / len(segment))


def test_normals_are_those_of_the_planes_and_point_into_the_room(
    room: planes.Surface, described: tuple[np.ndarray, np.ndarray]
) -> None:
    normal, _ = described
    assert normal.dtype == np.float32
    assert np.allclose(np.linalg.norm(normal, axis=1), 1, atol=1e-5)
    same = np.abs((normal * room.normal).sum(1)) > 0.99
    assert same.mean() > 0.85  # all but those within a neighbourhood of an edge
    low, high = np.array(SCENE.room.low), np.array(SCENE.room.high)
    shell = room.thing < 6
    deep = ((room.vertices > low + 0.15) & (room.vertices < high - 0.15)).sum(1) == 2
    inwards = (normal * room.normal).sum(1)[shell & deep]
    assert (inwards > 0.99).mean() > 0.95


def test_superpoints_do_not_cross_the_edges_of_planes(
    room: planes.Surface, described: tuple[np.ndarray, np.ndarray]
) -> None:
    _, segment = described
    assert segment.dtype == np.int32
    assert np.array_equal(np.unique(segment), np.arange(segment.max() + 1))
    assert purity(segment, room.thing) > 0.97
    assert 10 < segment.max() + 1 < 500


def test_a_board_on_a_wall_is_separated_by_its_colour() -> None:
    x, z = np.meshgrid(np.arange(0, 3, 0.02), np.arange(0, 2, 0.02))
    wall = np.stack([x, 0 * x, z], -1).reshape(-1, 3)
    board = ((abs(wall[:, 0] - 1.5) < 0.6) & (abs(wall[:, 2] - 1) < 0.4)).astype(int)
    rng = np.random.default_rng(0)
    shade = np.where(board, 230, 150)[:, None] + rng.normal(0, 4, (len(wall), 3))
    _, segment = normals_and_superpoints(wall, np.clip(shade, 0, 255).astype(np.uint8))
    assert purity(segment, board) > 0.97
    _, segment = normals_and_superpoints(wall, np.full((len(wall), 3), 150, np.uint8))
    assert purity(segment, board) < 0.9  # by nothing else


def test_the_order_of_the_points_changes_nothing(
    room: planes.Surface, colors: np.ndarray, described: tuple[np.ndarray, np.ndarray]
) -> None:
    order = np.random.default_rng(1).permutation(len(room.vertices))
    normal, segment = normals_and_superpoints(room.vertices[order], colors[order])
    assert np.allclose(normal, described[0][order], atol=1e-4)
    pairs = np.unique(np.stack([segment, described[1][order]], 1), axis=0)
    assert len(pairs) <= 1.02 * (segment.max() + 1)  # but for sums that round otherwise


def test_a_cloud_wider_than_any_building_is_refused() -> None:
    xyz = np.array([[0, 0, 0], [0, 2e4, 0.0]])
    for each in (xyz, xyz * 1e200):
        with pytest.raises(BadInput, match="m wide"):
            normals_and_superpoints(each, np.zeros((2, 3), np.uint8))


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 60), spread=st.sampled_from([0.0, 0.01, 0.1, 100.0]), seed=st.integers()
)
def test_any_cloud_has_normals_and_superpoints(count: int, spread: float, seed: int) -> None:
    rng = np.random.default_rng(abs(seed))
    xyz = spread * rng.normal(size=(count, 3)) + [-15.986, 42.856, 0.353]
    normal, segment = normals_and_superpoints(xyz, rng.integers(0, 256, (count, 3), np.uint8))
    length = np.linalg.norm(normal, axis=1)
    assert (np.isclose(length, 1, atol=1e-5) | (length == 0)).all()
    assert segment.shape == (count,)
    assert segment.min() == 0
