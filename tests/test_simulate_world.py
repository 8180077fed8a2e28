"""Simulated rooms: rendering agrees with geometry, and rooms are furnished as specified."""

from functools import cache
from pathlib import Path

import numpy as np
import open3d as o3d
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadInput
from pipeline.simulate.catalogue import SPLITS, Catalogue
from pipeline.simulate.footprints import footprint, overlap, top_heights
from pipeline.simulate.items import Item
from pipeline.simulate.layout import Layout
from pipeline.simulate.models import with_fewer_faces
from pipeline.simulate.plans import PLANS
from pipeline.simulate.primitives import box, quad, sheet
from pipeline.simulate.render import Renderer
from pipeline.simulate.room import build_room
from pipeline.simulate.shell import bare
from pipeline.simulate.walk import camera_path, pose
from pipeline.simulate.world import Lamp, Material, Thing, World, assemble, join

FURNITURE = Path("/usr/share/sweethome3d/furniture")
SCANNET = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39)
INTRINSICS = np.array([[60.0, 0, 39.5], [0, 60.0, 29.5], [0, 0, 1]])
SIZE = (80, 60)
ROOM = np.array([4.0, 3.0, 2.5])
RED, GREY = (Material(np.array(c, np.float32)) for c in ((0.8, 0.1, 0.1), (0.5, 0.5, 0.5)))


def hand_made(lamps: tuple[Lamp, ...] = (Lamp((2.0, 1.5, 2.4), (2.0, 2.0, 2.0)),)) -> World:
    """A box room of 4 x 3 x 2.5 m (thing 0) with a cube of 1 m in its middle (thing 1)."""
    parts = [
        (Thing("wall", 1, "procedural:wall"), box((0, 0, 0), ROOM.tolist(), GREY)),
        (Thing("box", 29, "procedural:box"), box((1.5, 1, 0), (2.5, 2, 1), RED)),
    ]
    return assemble(parts, np.array([[0, 0], [4, 0], [4, 3], [0, 3]]), 2.5, lamps)


def test_a_cube_is_seen_at_its_distance() -> None:
    camera = pose(np.array([0.25, 1.5, 0.5]), yaw=0.0, pitch=0.0)
    color, depth, thing = Renderer(hand_made()).render(INTRINSICS, camera, SIZE)
    assert color.shape == (60, 80, 3)
    assert color.dtype == np.uint8
    assert depth.dtype == np.float32
    assert thing.dtype == np.int32
    # The cube's face is 1.25 m away and 1 m wide: 48 pixels; the far wall is 3.75 m away.
    inside = np.zeros((60, 80), bool)
    inside[6:54, 16:64] = True
    assert np.array_equal(thing == 1, inside)
    np.testing.assert_allclose(depth[inside], 1.25, atol=1e-4)
    np.testing.assert_allclose(depth[0, 30:50], 3.75, atol=1e-4)
    assert (color[inside][:, 0] > color[inside][:, 1]).all()  # red


@settings(max_examples=30)
@given(
    eye=st.tuples(st.floats(0.2, 1.3), st.floats(0.2, 2.8), st.floats(1.1, 2.3)),
    yaw=st.floats(-3.1, 3.1),
    pitch=st.floats(-1.2, 1.2),
    roll=st.floats(-0.5, 0.5),
)
def test_unprojected_depth_is_on_the_surfaces(
    eye: tuple[float, float, float], yaw: float, pitch: float, roll: float
) -> None:
    camera = pose(np.array(eye), yaw, pitch, roll)
    np.testing.assert_allclose(camera[:3, :3] @ camera[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(camera[:3, :3]) > 0
    _, depth, thing = Renderer(hand_made(())).render(INTRINSICS, camera, SIZE)
    assert (thing >= 0).all()
    u, v = np.meshgrid(np.arange(80), np.arange(60))
    ray = np.stack([(u - 39.5) / 60, (v - 29.5) / 60, np.ones_like(u, float)], -1)
    p = (ray * depth[..., None]) @ camera[:3, :3].T + camera[:3, 3]
    to_wall = np.minimum(np.abs(p), np.abs(p - ROOM)).min(-1)
    to_cube = np.abs(np.abs(p - [2, 1.5, 0.5]).max(-1) - 0.5)
    np.testing.assert_allclose(np.where(thing == 0, to_wall, to_cube), 0, atol=1e-4)


def test_a_pixel_that_sees_nothing_has_no_depth_and_no_thing() -> None:
    away = quad(np.array([[1, 0, 0], [1, -2, 0], [1, -2, 1], [1, 0, 1]]), GREY)
    world = assemble([(Thing("sheet", 40, "procedural:s"), away)], np.zeros((3, 2)), 2, ())
    _, depth, thing = Renderer(world).render(INTRINSICS, pose(np.zeros(3), 0, 0), SIZE)
    assert (depth[thing < 0] == 0).all()
    assert 0 < (thing >= 0).sum() < thing.size


def test_textures_are_seen_where_they_are_and_grey_from_afar() -> None:
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:32, :32] = 255, 0, 0  # top left, as seen from the front
    texture[:32, 32:] = 0, 255, 0
    texture[32:, :32] = 0, 0, 255
    corners = np.array([[2, 0.5, 0], [2, -0.5, 0], [2, -0.5, 1], [2, 0.5, 1]])
    wall = quad(corners, Material(np.zeros(3, np.float32), texture))
    world = assemble([(Thing("picture", 11, "procedural:p"), wall)], np.zeros((3, 2)), 2, ())
    near, _, thing = Renderer(world).render(INTRINSICS, pose(np.array([1.0, 0, 0.5]), 0, 0), SIZE)
    assert (thing[5:55, 15:65] == 0).all()
    assert near[10, 20].argmax() == 0
    assert near[10, 60].argmax() == 1
    assert near[50, 20].argmax() == 2
    assert near[50, 60].max() == 0
    # A fine chequerboard of black and white that is far below a pixel is neither black nor white.
    fine = ((np.indices((256, 256)).sum(0) % 2) * 255).astype(np.uint8)[..., None].repeat(3, -1)
    floor = quad(corners, Material(np.zeros(3, np.float32), fine), (0.5, 0.5))
    world = assemble([(Thing("wall", 1, "procedural:w"), floor)], np.zeros((3, 2)), 2, ())
    far, _, thing = Renderer(world).render(INTRINSICS, pose(np.array([1.0, 0, 0.5]), 0, 0), SIZE)
    assert np.ptp(far[thing == 0].astype(int)) <= 2


def test_a_cube_casts_a_shadow() -> None:
    # A lamp behind the cube: the floor before the cube is dark, the floor beside it is lit.
    world = hand_made((Lamp((3.2, 1.5, 2.3), (3.0, 3.0, 3.0)),))
    camera = pose(np.array([0.3, 1.5, 2.2]), 0.0, -0.9)
    color, depth, thing = Renderer(world).render(INTRINSICS, camera, SIZE)
    u, v = np.meshgrid(np.arange(80), np.arange(60))
    ray = np.stack([(u - 39.5) / 60, (v - 29.5) / 60, np.ones_like(u, float)], -1)
    x, y, z = np.moveaxis((ray * depth[..., None]) @ camera[:3, :3].T + camera[:3, 3], -1, 0)
    floor = (thing == 0) & (z < 0.01) & (x > 1) & (x < 1.4)
    aside = np.abs(y - 1.5)
    dark, lit = floor & (aside < 0.3), floor & (aside > 1.1) & (aside < 1.4)
    assert dark.any()
    assert lit.any()
    assert color[dark].max() < color[lit].min()


def test_equal_materials_are_stored_once_and_every_face_has_its_thing() -> None:
    world = hand_made()
    assert len(world.materials) == 2
    assert np.array_equal(world.face_thing, [0] * 12 + [1] * 12)
    assert len(join([box((0, 0, 0), (1, 1, 1), RED)] * 3).materials) == 1


@given(
    size=st.tuples(st.floats(0.1, 2), st.floats(0.1, 2)),
    other=st.tuples(st.floats(0.1, 2), st.floats(0.1, 2)),
    shift=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
    turns=st.tuples(st.floats(0, 6.3), st.floats(0, 6.3)),
)
def test_rectangles_that_do_not_overlap_share_no_point(
    size: tuple[float, float],
    other: tuple[float, float],
    shift: tuple[float, float],
    turns: tuple[float, float],
) -> None:
    a = footprint(size, np.zeros(2), turns[0])
    b = footprint(other, np.array(shift), turns[1])
    grid = np.stack(np.meshgrid(*[np.linspace(-0.48, 0.48, 9)] * 2), -1).reshape(-1, 2)
    c, s = np.cos(turns[1]), np.sin(turns[1])
    inside_b = (grid * other) @ np.array([[c, s], [-s, c]]) + shift
    c, s = np.cos(turns[0]), np.sin(turns[0])
    in_a = inside_b @ np.array([[c, -s], [s, c]])
    deep = (np.abs(in_a) < np.array(size) / 2 - 0.01).all(1).any()
    if not overlap(a, b):
        assert not deep
    assert overlap(a, b) == overlap(b, a)


def test_nothing_is_placed_in_occupied_space_or_outside_an_l() -> None:
    outline = np.array([[0, 0], [4, 0], [4, 2], [2, 2], [2, 4], [0, 4]], float)
    layout = Layout(outline, 2.5)
    item = Item(Thing("box", 29, "procedural:b"), box((-0.5, -0.5, 0), (0.5, 0.5, 1), RED))
    assert layout.put(item, np.array([3.0, 3.0]), 0.0) is None  # the missing corner
    assert layout.put(item, np.array([3.6, 1.0]), 0.0) is None  # through a wall
    first = layout.put(item, np.array([1.0, 1.0]), 0.3)
    assert first is not None
    assert layout.put(item, np.array([1.8, 1.0]), 0.0) is None
    assert layout.put(item, np.array([1.8, 1.0]), 0.0, z=1.0) is not None  # above it
    small = Item(Thing("toy", 40, "procedural:t"), box((-0.1, -0.1, 0), (0.1, 0.1, 0.2), RED))
    on_top = layout.on_top(small, first, np.random.default_rng(0))
    assert on_top is not None
    assert on_top.shape.vertices[:, 2].min() == pytest.approx(1.0)


def test_the_floor_of_an_l_covers_only_the_l() -> None:
    for mirrored in (False, True):
        outline = np.array([[0, 0], [4, 0], [4, 2], [2, 2], [2, 4], [0, 4]], float)
        if mirrored:
            outline = (outline * [-1, 1] + [4, 0])[::-1]
        (_, floor), *_ = bare(Layout(outline, 2.5), np.random.default_rng(0), wet=False)
        points = np.array([[1, 1], [3, 1], [1, 3], [3, 3]], float)
        missing = [False, False, mirrored, not mirrored]
        assert np.array_equal(np.isinf(top_heights(floor, points)), missing)


def test_a_bumpy_sheet_keeps_its_shape_with_fewer_faces() -> None:
    u, v = np.meshgrid(np.linspace(0, 1, 101), np.linspace(0, 2, 101))
    shape = sheet(np.stack([u, v, 0.1 * np.sin(6 * u)], -1), RED)
    less = with_fewer_faces(shape, 5000)
    assert 500 < len(less.faces) <= 5000
    assert len(less.uv) == len(less.material) == len(less.faces)
    np.testing.assert_allclose(np.ptp(less.vertices, axis=0), np.ptp(shape.vertices, 0), atol=0.05)


@cache
def catalogue() -> Catalogue:
    return Catalogue(FURNITURE)


@cache
def rooms() -> tuple[World, ...]:
    """One held-out room of each type."""
    return tuple(build_room(seed, catalogue(), "heldout") for seed in range(len(PLANS)))


def test_a_folder_without_furniture_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="sweethome3d-furniture"):
        Catalogue(tmp_path)


def test_splits_share_no_model_and_each_has_what_a_room_needs() -> None:
    roles = ["bed", "chair", "office chair", "sofa", "dining table", "desk", "bookshelf"]
    roles += ["cabinet", "door", "window", "toilet", "sink", "refrigerator", "trash can"]
    for role in roles:
        ids = [{model.id for model in catalogue().models(role, split)} for split in SPLITS]
        assert all(ids), role
        assert len(set.union(*ids)) == sum(map(len, ids)), role


def test_one_room_of_each_type_has_all_scannet_classes() -> None:
    assert {thing.nyu40 for world in rooms() for thing in world.things} >= set(SCANNET)
    for world in rooms():
        assert {1, 2, 8} <= {thing.nyu40 for thing in world.things}  # wall, floor, door
        assert len(world.things) > 15
        assert len(world.faces) < 150_000


def test_a_room_is_determined_by_its_seed_and_split() -> None:
    again = build_room(1, catalogue(), "heldout")
    assert np.array_equal(again.vertices, rooms()[1].vertices)
    assert again.things == rooms()[1].things
    images = [
        Renderer(world).render(INTRINSICS, camera_path(world, 0, 3)[1], SIZE)[0]
        for world in (again, rooms()[1])
    ]
    assert np.array_equal(images[0], images[1])
    other = build_room(1, catalogue(), "train")
    models = {t.model for t in other.things if not t.model.startswith("procedural")}
    assert models
    assert not models & {t.model for t in again.things}


def test_things_stay_inside_the_room() -> None:
    for world in rooms():
        low, high = world.vertices.min(0), world.vertices.max(0)
        slack = 0.2  # boards and frames are let into the walls a little
        assert (low[:2] > world.outline.min(0) - slack).all()
        assert (high[:2] < world.outline.max(0) + slack).all()
        assert low[2] > -0.01
        assert high[2] < world.height + 0.05


def test_the_camera_walks_at_eye_height_clear_of_everything() -> None:
    for seed, world in enumerate(rooms()):
        path = camera_path(world, seed, 60)
        eye = path[:, :3, 3]
        assert ((eye[:, 2] > 1.15) & (eye[:, 2] < 1.75)).all()
        scene = o3d.t.geometry.RaycastingScene(nthreads=1)
        mesh = o3d.core.Tensor.from_numpy
        scene.add_triangles(mesh(world.vertices), mesh(world.faces.astype(np.uint32)))
        assert scene.compute_distance(mesh(eye.astype(np.float32))).numpy().min() > 0.1
        level = np.arcsin(np.clip(path[:, 2, 2], -1, 1))
        assert np.degrees(level).mean() < -5  # slightly down
        step = np.linalg.norm(np.diff(eye, axis=0), axis=1)
        assert step.max() < 5 * step.mean() + 0.05


def test_a_walk_sees_most_of_a_room() -> None:
    half = INTRINSICS * [[0.5], [0.5], [1]]
    for seed, world in enumerate(rooms()):
        renderer = Renderer(world)
        shares = []
        seen: set[int] = set()
        for camera in camera_path(world, seed, 40):
            _, depth, thing = renderer.render(half, camera, (40, 30))
            seen |= set(np.unique(thing).tolist())
            shares.append(np.median(depth))
        large = [
            index
            for index, thing in enumerate(world.things)
            if thing.nyu40 in SCANNET and thing.nyu40 not in (11, 39)
        ]
        assert np.mean([index in seen for index in large]) > 0.85
        assert np.mean(np.array(shares) > 0.7) > 0.8  # seldom a wall before the lens
