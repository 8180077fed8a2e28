"""Superpoints of simulated scans: connected, split at concave edges, and never tiny."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.geometry.mesh import vertex_normals
from pipeline.simulate.segments import over_segment
from tests.helpers.planes import box_room, surface


def sheet(height: np.ndarray, spacing: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """A mesh over a regular grid, seen from above."""
    rows, columns = height.shape
    x, y = np.meshgrid(np.arange(columns) * spacing, np.arange(rows) * spacing)
    index = np.arange(height.size).reshape(height.shape)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    return np.stack([x, y, height], -1).reshape(-1, 3), faces


def pieces(faces: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Connected piece of each vertex along the edges whose ends have the same label."""
    a, b = faces.ravel(), np.roll(faces, 1, axis=1).ravel()
    same = label[a] == label[b]
    graph = coo_array((np.ones(same.sum()), (a[same], b[same])), shape=(len(label),) * 2)
    return connected_components(graph, directed=False)[1]


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    pairs = np.unique(np.stack([a, b], 1), axis=0)
    return len(pairs) == len(np.unique(a)) == len(np.unique(b))


@settings(max_examples=40)
@given(
    rows=st.integers(2, 14),
    columns=st.integers(2, 14),
    roughness=st.floats(0.0, 0.2),
    holes=st.floats(0.0, 0.6),
    min_vertices=st.integers(1, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_segments_are_connected_named_by_their_lowest_member_and_not_small(
    rows: int, columns: int, roughness: float, holes: float, min_vertices: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vertices, faces = sheet(rng.normal(0.0, roughness, (rows, columns)))
    faces = faces[rng.random(len(faces)) >= holes]
    segment = over_segment(vertices, faces, min_vertices=min_vertices)

    assert segment.dtype == np.int32
    assert np.array_equal(segment[segment], segment)
    assert np.all(segment <= np.arange(len(vertices)))
    assert same_partition(segment, pieces(faces, segment))
    whole = pieces(faces, np.zeros(len(vertices)))
    ids, sizes = np.unique(segment, return_counts=True)
    assert np.all(sizes >= np.minimum(min_vertices, np.bincount(whole)[whole[ids]]))


def test_planes_that_share_no_vertex_are_one_segment_each() -> None:
    mesh = surface(box_room(), spacing=0.2)
    assert np.array_equal(over_segment(mesh.vertices, mesh.faces), mesh.segment)


def test_a_fold_parts_a_sheet_where_it_is_a_valley_and_not_where_it_is_a_ridge() -> None:
    x = np.arange(13) - 6.0
    slope = 0.05 * np.tan(np.radians(7.5))
    valley = np.tile(np.abs(x) * slope, (9, 1))
    assert len(np.unique(over_segment(*sheet(-valley)))) == 1
    segment = over_segment(*sheet(valley)).reshape(9, 13)
    assert len(np.unique(segment[:, :6])) == 1
    assert len(np.unique(segment[:, 7:])) == 1
    assert segment[0, 0] != segment[0, -1]


def test_a_box_on_the_floor_is_not_joined_to_the_floor() -> None:
    height = np.zeros((40, 40))
    height[10:30, 12:28] = 0.4
    segment = over_segment(*sheet(height)).reshape(40, 40)
    on_top, around = np.unique(segment[12:28, 14:26]), np.unique(segment[height == 0][::7])
    assert len(on_top) == 1
    assert not np.isin(on_top, around).any()


def test_a_larger_k_gives_fewer_segments() -> None:
    rng = np.random.default_rng(3)
    mesh = sheet(rng.normal(0.0, 0.01, (60, 60)))
    counts = [len(np.unique(over_segment(*mesh, k=k, min_vertices=1))) for k in (0.001, 0.01, 0.1)]
    assert counts[0] > counts[1] > counts[2] >= 1


@pytest.mark.parametrize("stretch", [1.0, 30.0])
def test_normals_are_unit_vectors_and_zero_where_there_is_no_area(stretch: float) -> None:
    vertices, faces = sheet(np.zeros((3, 3)))
    vertices = np.concatenate([vertices * stretch, [[5.0, 5.0, 5.0]]])
    normal = vertex_normals(vertices, faces)
    assert np.allclose(normal[:-1], (0, 0, 1))
    assert np.array_equal(normal[-1], (0, 0, 0))


def test_vertices_without_any_face_have_no_normal() -> None:
    nothing = vertex_normals(np.ones((3, 3), np.float32), np.zeros((0, 3), np.int32))
    assert np.array_equal(nothing, np.zeros((3, 3)))
