"""The mesh fused from depth is on the surfaces, and only where a camera looked."""

import numpy as np
import pytest

from pipeline.simulate import surface
from tests.helpers import analytic, planes

SIZE = (160, 120)
K = np.array([[144.0, 0, 79.5], [0, 144.0, 59.5], [0, 0, 1]])


@pytest.fixture(scope="module")
def fused() -> surface.Mesh:
    """The analytic room, fused from exact depth."""
    scene = planes.box_room()
    fusion = surface.Fusion(0.03)
    for pose in planes.cameras(12):
        color, depth, _ = planes.render(scene, K, pose, SIZE)
        fusion.add(color, np.rint(depth * 1000).astype(np.uint16), K, pose)
    return fusion.mesh()


def test_the_mesh_is_on_the_planes_and_faces_the_cameras(fused: surface.Mesh) -> None:
    mesh = fused
    middle, most = np.percentile(
        planes.distance_to_planes(planes.box_room(), mesh.vertices.astype(float)), [50, 95]
    )
    assert middle < 0.008
    assert most < 0.02
    floor = np.abs(mesh.vertices[:, 2]) < 0.01
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces[floor[mesh.faces].all(1)]], 1, 0)
    up = np.cross(b - a, c - a)[:, 2]
    assert floor.sum() > 1000
    assert np.mean(up > 0) > 0.98


def test_surfaces_that_no_camera_saw_are_missing(fused: surface.Mesh) -> None:
    x, y, z = fused.vertices.T
    under_the_table = (x > 1.95) & (x < 2.65) & (y > 1.15) & (y < 1.55) & (z < 0.5)
    assert not under_the_table.any()


def test_colours_are_those_of_the_nearest_thing(fused: surface.Mesh) -> None:
    mesh = fused
    top = (np.abs(mesh.vertices - (2.3, 1.35, 0.7)) < (0.3, 0.2, 0.02)).all(1)
    assert top.sum() > 50
    table = np.array(planes.box_room().things[7].rgb)
    assert np.abs(np.median(mesh.rgb[top], 0) - table).max() <= 2


def test_a_frame_without_any_depth_changes_nothing() -> None:
    fusion = surface.Fusion(0.04)
    color, depth, _ = planes.render(planes.box_room(), K, planes.cameras(1)[0], SIZE)
    fusion.add(color, np.rint(depth * 1000).astype(np.uint16), K, planes.cameras(1)[0])
    before = fusion.mesh()
    fusion.add(color, np.zeros(depth.shape, np.uint16), K, planes.cameras(1)[0])
    assert np.array_equal(fusion.mesh().vertices, before.vertices)


def test_a_coarse_mesh_has_edges_of_the_requested_size_and_valid_faces(fused: surface.Mesh) -> None:
    mesh = surface.without_crumbs(surface.coarsen(fused, 0.05))
    corner = mesh.vertices[mesh.faces]
    edge = np.linalg.norm(corner - np.roll(corner, 1, axis=1), axis=2)
    assert 0.04 < np.median(edge) < 0.06
    assert np.array_equal(np.unique(mesh.faces), np.arange(len(mesh.vertices)))
    assert len(np.unique(np.sort(mesh.faces, 1), axis=0)) > 0.99 * len(mesh.faces)


def test_coarsening_keeps_both_sides_of_a_thin_board_separate() -> None:
    plane = planes.surface(planes.Scene((), _board(), ()), spacing=0.02)
    mesh = surface.Mesh(plane.vertices, np.zeros(plane.vertices.shape, np.uint8), plane.faces)
    coarse = surface.coarsen(mesh, 0.1)
    below, above = coarse.vertices[:, 2] < 0.011, coarse.vertices[:, 2] > 0.029
    assert len(coarse.vertices) < 0.1 * len(mesh.vertices)
    assert below.sum() >= 100
    assert above.sum() >= 100


def test_small_floating_pieces_are_dropped(fused: surface.Mesh) -> None:
    mesh = fused
    far = np.array([[9, 9, 9], [9.1, 9, 9], [9, 9.1, 9]], np.float32)
    v = len(mesh.vertices)
    dirty = surface.Mesh(
        np.concatenate([far, mesh.vertices]),
        np.concatenate([np.zeros((3, 3), np.uint8), mesh.rgb]),
        np.concatenate([[[0, 1, 2]], mesh.faces + 3]).astype(np.int32),
    )
    clean = surface.without_crumbs(dirty)
    assert len(clean.vertices) <= v
    assert clean.vertices.max() < 5
    assert np.array_equal(
        clean.vertices[clean.faces], surface.without_crumbs(mesh).vertices[clean.faces]
    )


def test_a_point_belongs_to_the_nearest_thing_and_beyond_8_cm_to_none() -> None:
    world = analytic.world()
    top, beside = np.array([2.3, 1.35, 0.7]), np.array([2.9, 1.35, 0.02])
    up = np.array([0.0, 0.0, 1.0])
    points = np.stack([top, top + 0.05 * up, top + 0.1 * up, beside]).astype(np.float32)
    assert surface.nearest_thing(world, points).tolist() == [2, 2, -1, 0]


def _board() -> planes.Box:
    return planes.Box((0.0, 0.0, 0.01), (1.0, 1.0, 0.03), (0,) * 6)
