"""The simulated sensor, the mesh fused from what it saw, and the files of a whole scan."""

import hashlib
import json
from io import BytesIO
from pathlib import Path

import analytic
import numpy as np
import pytest
from PIL import Image

from pipeline.scannet.annotations import group_of_vertices, read_groups
from pipeline.scannet.cloud import read_cloud
from pipeline.scannet.files import scan_files
from pipeline.scannet.frames import open_frames
from pipeline.scannet.labels import read_labels
from pipeline.scannet.meta import read_axis_alignment
from pipeline.scannet.ply import read_mesh
from pipeline.simulate import primitives, recording, scan, surface
from pipeline.simulate.sensor import depth_intrinsics, measure_depth, photograph
from pipeline.simulate.world import Lamp, Material, Shape, Thing, World, assemble

SIZE = (160, 120)
K = np.array([[144.0, 0, 79.5], [0, 144.0, 59.5], [0, 0, 1]])


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def wall_at(depth: float, tilt: float = 0.0) -> np.ndarray:
    """z-depth of a plane, turned by `tilt` radians about the image's vertical axis."""
    ray = (np.arange(SIZE[0]) - K[0, 2]) / K[0, 0]
    return np.tile(depth / (1 + np.tan(tilt) * ray), (SIZE[1], 1))


class TestSensor:
    def test_depth_intrinsics_are_the_published_ones_of_a_scannet_device(self) -> None:
        color = np.array([[1169.621094, 0, 646.295044], [0, 1167.105103, 489.927032], [0, 0, 1]])
        depth = depth_intrinsics(color, (1296, 968), (640, 480))
        found = depth[[0, 1, 0, 1], [0, 1, 2, 2]]
        assert found == pytest.approx([577.590698, 578.729797, 318.905426, 242.683609], abs=1e-4)

    def test_noise_grows_with_the_square_of_the_depth_and_has_no_bias(self) -> None:
        spread = []
        for depth in (1.0, 2.0, 4.0):
            error = measure_depth(wall_at(depth), K, rng()) / 1000.0 - depth
            spread.append(error.std())
            assert abs(np.mean(error)) < 0.3 * error.std()
        assert 3.0 < spread[1] / spread[0] < 5.0
        assert 3.0 < spread[2] / spread[1] < 5.0

    @pytest.mark.parametrize("depth", [0.0, 0.2, 5.5])
    def test_nothing_is_measured_out_of_range(self, depth: float) -> None:
        assert not measure_depth(wall_at(depth), K, rng()).any()

    def test_a_wall_in_range_is_measured_everywhere(self) -> None:
        assert measure_depth(wall_at(2.0), K, rng()).all()

    def test_depth_is_lost_where_the_view_grazes_a_surface(self) -> None:
        shares = [
            np.mean(measure_depth(wall_at(1.0, tilt), K, rng())[:, 70:90] > 0)
            for tilt in np.radians([60, 80, 86])
        ]
        assert shares[0] == 1.0
        assert 0.2 < shares[1] < 0.8
        assert shares[2] == 0.0

    def test_depth_is_lost_along_silhouettes_and_not_far_from_them(self) -> None:
        depth = wall_at(3.0)
        depth[40:80, 60:100] = 1.5
        measured = measure_depth(depth, K, rng()) > 0
        assert 0.3 < np.mean(measured[42:78, 59:61]) < 0.7
        assert measured[:, :55].all()
        assert measured[45:75, 65:95].all()

    def test_a_blob_loses_one_region(self) -> None:
        whole, holed = (measure_depth(wall_at(2.0), K, rng(), blob) for blob in (False, True))
        lost = np.mean((whole > 0) & (holed == 0))
        assert 0.01 < lost < 0.1

    def test_a_photograph_is_a_jpeg_close_to_the_picture_and_never_quite_the_same(self) -> None:
        picture = np.full((48, 64, 3), (60, 120, 180), np.uint8)
        generator = rng()
        first, second = photograph(picture, generator), photograph(picture, generator)
        image = Image.open(BytesIO(first))
        assert (image.format, image.size, image.mode) == ("JPEG", (64, 48), "RGB")
        assert np.abs(np.asarray(image, float).mean((0, 1)) - (60, 120, 180)).max() < 25
        assert first != second
        assert first == photograph(picture, rng())


def fused(voxel_size: float = 0.04) -> surface.Mesh:
    """The analytic room, fused from exact depth."""
    scene = analytic.box_room()
    fusion = surface.Fusion(voxel_size)
    for pose in analytic.cameras(12):
        color, depth, _ = analytic.render(scene, K, pose, SIZE)
        fusion.add(color, np.rint(depth * 1000).astype(np.uint16), K, pose)
    return fusion.mesh()


def distance_to_planes(xyz: np.ndarray) -> np.ndarray:
    """Distance (N,) to the surfaces of the analytic room's boxes."""
    scene = analytic.box_room()
    found = []
    for box in (scene.room, *scene.solids):
        low, high = np.array(box.low), np.array(box.high)
        outside = np.maximum(np.maximum(low - xyz, xyz - high), 0.0)
        inside = np.minimum(xyz - low, high - xyz).min(1)
        found.append(np.where(inside > 0, inside, np.linalg.norm(outside, axis=1)))
    return np.min(found, axis=0)


class TestSurface:
    def test_the_mesh_lies_on_the_planes_and_faces_the_cameras(self) -> None:
        mesh = fused()
        middle, most = np.percentile(distance_to_planes(mesh.vertices), [50, 95])
        assert middle < 0.005
        assert most < 0.02
        floor = np.abs(mesh.vertices[:, 2]) < 0.01
        a, b, c = np.moveaxis(mesh.vertices[mesh.faces[floor[mesh.faces].all(1)]], 1, 0)
        up = np.cross(b - a, c - a)[:, 2]
        assert floor.sum() > 1000
        assert np.mean(up > 0) > 0.98

    def test_what_no_camera_saw_is_missing(self) -> None:
        x, y, z = fused().vertices.T
        under_the_table = (x > 1.95) & (x < 2.65) & (y > 1.15) & (y < 1.55) & (z < 0.5)
        assert not under_the_table.any()

    def test_colours_are_those_of_the_nearest_thing(self) -> None:
        mesh = fused()
        top = (np.abs(mesh.vertices - (2.3, 1.35, 0.7)) < (0.3, 0.2, 0.02)).all(1)
        assert top.sum() > 50
        table = np.array(analytic.box_room().things[7].rgb)
        assert np.abs(np.median(mesh.rgb[top], 0) - table).max() <= 2

    def test_a_frame_without_any_depth_changes_nothing(self) -> None:
        fusion = surface.Fusion(0.04)
        color, depth, _ = analytic.render(analytic.box_room(), K, analytic.cameras(1)[0], SIZE)
        fusion.add(color, np.rint(depth * 1000).astype(np.uint16), K, analytic.cameras(1)[0])
        before = fusion.mesh()
        fusion.add(color, np.zeros(depth.shape, np.uint16), K, analytic.cameras(1)[0])
        assert np.array_equal(fusion.mesh().vertices, before.vertices)

    def test_a_coarse_mesh_has_edges_of_the_size_asked_for_and_whole_faces(self) -> None:
        mesh = surface.without_crumbs(surface.coarsen(fused(0.03), 0.05))
        corner = mesh.vertices[mesh.faces]
        edge = np.linalg.norm(corner - np.roll(corner, 1, axis=1), axis=2)
        assert 0.04 < np.median(edge) < 0.06
        assert np.array_equal(np.unique(mesh.faces), np.arange(len(mesh.vertices)))
        assert len(np.unique(np.sort(mesh.faces, 1), axis=0)) > 0.99 * len(mesh.faces)

    def test_coarsening_keeps_both_sides_of_a_thin_board_apart(self) -> None:
        plane = analytic.surface(analytic.Scene((), _board(), ()), spacing=0.02)
        mesh = surface.Mesh(plane.vertices, np.zeros(plane.vertices.shape, np.uint8), plane.faces)
        coarse = surface.coarsen(mesh, 0.1)
        below, above = coarse.vertices[:, 2] < 0.011, coarse.vertices[:, 2] > 0.029
        assert len(coarse.vertices) < 0.1 * len(mesh.vertices)
        assert below.sum() >= 100
        assert above.sum() >= 100

    def test_small_floating_pieces_are_dropped(self) -> None:
        mesh = fused()
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

    def test_a_point_belongs_to_the_nearest_thing_and_beyond_8_cm_to_none(self) -> None:
        world = _world()
        top, beside = np.array([2.3, 1.35, 0.7]), np.array([2.9, 1.35, 0.02])
        up = np.array([0.0, 0.0, 1.0])
        points = np.stack([top, top + 0.05 * up, top + 0.1 * up, beside]).astype(np.float32)
        assert surface.nearest_thing(world, points).tolist() == [2, 2, -1, 0]


def _board() -> analytic.Box:
    return analytic.Box((0.0, 0.0, 0.01), (1.0, 1.0, 0.03), (0,) * 6)


def _world() -> World:
    """The analytic room as a world: floor and walls, then cabinet and table as things 1 and 2."""
    scene = analytic.box_room()

    def box(box: analytic.Box, rgb: tuple[float, float, float]) -> Shape:
        return primitives.box(box.low, box.high, Material(np.array(rgb, np.float32)))

    parts = [
        (Thing("wall", 1, "procedural:wall"), box(scene.room, (0.8, 0.8, 0.7))),
        (Thing("cabinet", 3, "cabinet"), box(scene.solids[0], (0.2, 0.3, 0.7))),
        (Thing("rack", 39, "rack"), box(scene.solids[1], (0.7, 0.2, 0.2))),
    ]
    outline = np.array([[0, 0], [4, 0], [4, 3], [0, 3]], float)
    return assemble(parts, outline, 2.5, [Lamp((2, 1.5, 2.3), (3, 3, 3))])


PARAMS = {
    "furniture": "not looked at",
    "n_frames": 8,
    "color_size": [96, 72],
    "depth_size": [128, 96],
    "mesh_edge": 0.08,
}
FULL = scan.Variety(2, True, "compact", True, True, True, True)


@pytest.fixture
def small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scans of `_world` in place of furnished rooms: quick, and without the catalogue."""
    monkeypatch.setattr(scan, "_catalogue", lambda furniture: None)
    monkeypatch.setattr(scan, "build_room", lambda seed, catalogue, split: _world())
    monkeypatch.setattr(recording, "camera_path", lambda world, seed, n: analytic.cameras(n))
    monkeypatch.setattr(scan, "draw_variety", lambda rng: FULL)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.usefixtures("small_world")
class TestSimulateScan:
    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, dict[str, Path]]:
        scan.simulate_scan("scene9001_00", 5, "train", PARAMS, tmp_path)
        return scan_files(tmp_path, "scene9001_00")

    def test_a_scan_is_given_by_its_seed_byte_for_byte(self, tmp_path: Path) -> None:
        for name, seed in (("a", 5), ("b", 5), ("c", 6)):
            scan.simulate_scan("scene9001_00", seed, "train", PARAMS, tmp_path / name)
        a, b, c = (digests(tmp_path / name) for name in "abc")
        assert len(a) == 9
        assert a == b
        assert all(a[name] != c[name] for name in a if not name.endswith("segs.json"))

    def test_every_label_is_that_of_the_object_of_the_vertex_s_segment(
        self, files: dict[str, dict[str, Path]]
    ) -> None:
        labels = files["labels"]
        segment = read_cloud(files["cloud"]).segment
        groups = read_groups(labels["aggregation"])
        nyu40 = read_mesh(labels["labels_mesh"])[0]["label"]
        of_vertex = group_of_vertices(segment, groups)
        by_name = {"wall": 1, "cabinet": 3, "rack": 50}  # 50: the stray id of an old label map
        expected = np.array([*(by_name[group.raw_category] for group in groups), 0])[of_vertex]
        assert np.array_equal(nyu40, expected)
        assert set(nyu40.tolist()) == {0, 1, 3, 50}

    def test_labels_are_those_of_the_world_nearly_everywhere(
        self, files: dict[str, dict[str, Path]]
    ) -> None:
        classes = [{"name": "wall", "nyu40": 1}, {"name": "cabinet", "nyu40": 3}]
        found = read_labels(files["labels"], classes)
        xyz = read_cloud(files["cloud"]).xyz
        alignment = read_axis_alignment(files["frames"]["sens"].with_suffix(".txt"))
        in_room = xyz @ alignment[:3, :3].T + alignment[:3, 3] + (2.0, 1.5, 0.0)
        assert np.median(distance_to_planes(in_room)) < 0.02
        instance = surface.nearest_thing(_world(), in_room.astype(np.float32)) + 1
        assert np.mean(found.instance == instance) > 0.85
        assert np.mean(found.label[found.instance == 2] == 1) == 1.0

    def test_depth_poses_and_mesh_fit_together(self, files: dict[str, dict[str, Path]]) -> None:
        frames = open_frames(files["frames"])
        xyz = read_cloud(files["cloud"]).xyz.astype(float)
        error, hidden = [], 0
        for frame_id in frames.frame_ids:
            pose = frames.pose(frame_id)
            if not np.isfinite(pose).all():
                continue
            x, y, z = ((xyz - pose[:3, 3]) @ pose[:3, :3]).T
            u = np.rint(frames.depth_intrinsics[0, 0] * x / z + frames.depth_intrinsics[0, 2])
            v = np.rint(frames.depth_intrinsics[1, 1] * y / z + frames.depth_intrinsics[1, 2])
            seen = (z > 0.4) & (u >= 0) & (u < 128) & (v >= 0) & (v < 96)
            depth = frames.read(frame_id).depth[v[seen].astype(int), u[seen].astype(int)] / 1000.0
            behind = z[seen] - depth > 0.15
            hidden += np.sum(behind & (depth > 0))
            error.append((z[seen] - depth)[~behind & (depth > 0)])
        assert hidden > 100  # the table hides a part of the floor
        assert np.median(np.abs(np.concatenate(error))) < 0.02

    def test_the_oddities_of_real_scans_are_in_the_files(
        self, files: dict[str, dict[str, Path]]
    ) -> None:
        frames = open_frames(files["frames"])
        lost = [i for i in frames.frame_ids if not np.isfinite(frames.pose(i)).all()]
        assert len(lost) == 2
        assert len(frames.frame_ids) == 8
        sens = files["frames"]["sens"]
        assert "numIMUmeasurements = 16" in sens.with_suffix(".txt").read_text()
        assert b"\r\n" in sens.with_suffix(".txt").read_bytes()
        groups = json.loads(files["labels"]["aggregation"].read_text())["segGroups"]
        assert sum(group["label"].endswith(" ") for group in groups) == 1
        assert (read_cloud(files["cloud"]).segment >= 0).all()
        assert sens.with_name("scene9001_00_vh_clean.aggregation.json").is_file()

    def test_a_test_scan_has_no_labels(self, tmp_path: Path) -> None:
        scan.simulate_scan("scene9002_00", 5, "test", PARAMS, tmp_path)
        names = {file.name for file in (tmp_path / "scans_test" / "scene9002_00").iterdir()}
        assert {name for name in names if "label" in name or "json" in name} == set()
        assert "scene9002_00_vh_clean_2.ply" in names


def test_rooms_to_train_on_have_other_furniture_than_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def build(seed: int, catalogue: None, split: str) -> World:
        asked.append(split)
        raise StopIteration

    monkeypatch.setattr(scan, "_catalogue", lambda furniture: None)
    monkeypatch.setattr(scan, "build_room", build)
    for split in ("train", "val", "test"):
        with pytest.raises(StopIteration):
            scan.simulate_scan("scene9003_00", 1, split, PARAMS, tmp_path)
    assert asked == ["train", "heldout", "heldout"]


def test_every_oddity_occurs_and_is_missing_among_forty_scans() -> None:
    drawn = [scan.draw_variety(np.random.default_rng([seed, 2])) for seed in range(40)]
    for field in scan.Variety.__dataclass_fields__:
        assert len({getattr(each, field) for each in drawn}) >= 2, field
