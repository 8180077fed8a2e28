"""A simulated scan: its files agree with one another, with the room, and between runs."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.geometry.superpoints import normals_and_superpoints
from pipeline.readers.scannet.annotations import group_of_vertices, read_groups
from pipeline.readers.scannet.cloud import read_cloud
from pipeline.readers.scannet.files import scan_files
from pipeline.readers.scannet.frames import open_frames
from pipeline.readers.scannet.labels import read_labels
from pipeline.readers.scannet.ply import read_mesh
from pipeline.simulate import recording, scan, surface
from tests.helpers import analytic, planes

PARAMS = {
    "furniture": "not looked at",
    "n_frames": 8,
    "color_size": [96, 72],
    "depth_size": [128, 96],
    "mesh_edge": 0.08,
}
FULL = scan.Variety(2, True, "compact", True, True, True, True)


@pytest.fixture(scope="class")
def small_world() -> Iterator[None]:
    """Scans of `analytic.world` in place of furnished rooms: quick, and without the catalogue."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "_catalogue", lambda furniture: None)
        patch.setattr(scan, "build_room", lambda seed, catalogue, split: analytic.world())
        patch.setattr(recording, "camera_path", lambda world, seed, n: planes.cameras(n))
        patch.setattr(scan, "draw_variety", lambda rng: FULL)
        yield


@pytest.fixture(scope="class")
def raw(small_world: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    scan.simulate_scan("scene9001_00", 5, "train", PARAMS, folder)
    return folder


@pytest.fixture
def files(raw: Path) -> dict[str, dict[str, Path]]:
    return scan_files(raw, "scene9001_00")


def digests(folder: Path) -> dict[str, str]:
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in found}


@pytest.mark.usefixtures("small_world")
class TestSimulateScan:
    def test_normals_of_the_mesh_point_into_the_room_as_computed_ones_do(
        self, files: dict[str, dict[str, Path]]
    ) -> None:
        cloud = read_cloud(files["cloud"])
        normal, _ = normals_and_superpoints(cloud.xyz, cloud.rgb)
        same = (normal * cloud.normal).sum(axis=1)
        flat = np.abs(same) > 0.8
        assert flat.mean() > 0.5
        assert (same[flat] > 0).mean() > 0.9

    def test_a_scan_is_determined_by_its_seed_byte_for_byte(
        self, raw: Path, tmp_path: Path
    ) -> None:
        for seed in (5, 6):
            scan.simulate_scan("scene9001_00", seed, "train", PARAMS, tmp_path / str(seed))
        first, again, other = digests(raw), digests(tmp_path / "5"), digests(tmp_path / "6")
        assert len(first) == 9
        assert first == again
        assert all(first[name] != other[name] for name in first)

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
        meta = files["frames"]["sens"].with_suffix(".txt").read_text()
        (numbers,) = re.findall("axisAlignment = (.*)", meta)
        alignment = np.array(numbers.split(), float).reshape(4, 4)
        in_room = xyz @ alignment[:3, :3].T + alignment[:3, 3] + (2.0, 1.5, 0.0)
        assert np.median(planes.distance_to_planes(planes.box_room(), in_room)) < 0.02
        instance = surface.nearest_thing(analytic.world(), in_room.astype(np.float32)) + 1
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

    def test_the_irregularities_of_real_scans_are_in_the_files(
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


def test_training_rooms_have_other_furniture_than_the_other_rooms(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []

    def build(seed: int, catalogue: None, split: str) -> None:
        asked.append(split)
        raise StopIteration

    monkeypatch.setattr(scan, "_catalogue", lambda furniture: None)
    monkeypatch.setattr(scan, "build_room", build)
    for split in ("train", "val", "test"):
        with pytest.raises(StopIteration):
            scan.simulate_scan("scene9003_00", 1, split, PARAMS, tmp_path)
    assert asked == ["train", "heldout", "heldout"]


def test_every_irregularity_is_present_and_absent_among_forty_scans() -> None:
    drawn = [scan.draw_variety(np.random.default_rng([seed, 2])) for seed in range(40)]
    for field in scan.Variety.__dataclass_fields__:
        assert len({getattr(each, field) for each in drawn}) >= 2, field
