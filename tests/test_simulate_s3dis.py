"""A simulated room of S3DIS: determined by its seed, read like a real one, consistent."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.geometry.agreement import require
from pipeline.geometry.cameras import project, transform, world_to_camera
from pipeline.readers.s3dis.cloud import read_cloud
from pipeline.readers.s3dis.files import check, scan_files
from pipeline.readers.s3dis.frames import open_frames
from pipeline.readers.s3dis.labels import read_labels
from pipeline.simulate import s3dis_scan
from pipeline.simulate.s3dis_scan import Variety, simulate_scan
from pipeline.simulate.s3dis_text import ALIGNED, NOT_ALIGNED
from tests.helpers import analytic, planes
from tests.helpers.tiny_s3dis import CLASSES, NAMES, files_of

PARAMS: dict[str, Any] = {
    "furniture": "",
    "n_cameras": 3,
    "n_views": 4,
    "image_size": 64,
    "spacing": 0.05,
}
PLAIN = Variety(0, NOT_ALIGNED, "area_1", False, False)


@pytest.fixture(autouse=True)
def small_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scans of `analytic.world` in place of furnished rooms: quick, and without the catalogue."""
    monkeypatch.setattr(s3dis_scan, "_catalogue", lambda furniture: None)
    monkeypatch.setattr(s3dis_scan, "build_room", lambda seed, catalogue, split: analytic.world())
    monkeypatch.setattr(s3dis_scan, "camera_path", lambda world, seed, n: planes.cameras(n))


@pytest.fixture(
    params=[
        replace(PLAIN, images="area_5a"),
        replace(PLAIN, angle=90, images="area_5b", stairs=True),
        replace(PLAIN, angle=270, release=ALIGNED, images="area_5b"),
    ],
    ids=str,
)
def raw(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(s3dis_scan, "draw_variety", lambda area, rng: request.param)
    simulate_scan("Area_5_office_3", 7, "val", PARAMS, tmp_path)
    return tmp_path


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in files_of(folder, "") if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in files]
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return dict(zip(names, sums, strict=True))


def test_a_room_is_determined_by_its_seed_byte_for_byte(tmp_path: Path) -> None:
    for run, seed in (("a", 7), ("b", 7), ("c", 8)):
        simulate_scan("Area_1_office_3", seed, "train", PARAMS, tmp_path / run)
    simulate_scan("Area_1_office_3", 7, "train", PARAMS, tmp_path / "a")  # as if broken off
    first, again, other = (digests(tmp_path / run) for run in "abc")
    assert len(first) > 36
    assert first == again
    assert not {*first.values()} >= {*other.values()}


def test_a_simulated_room_is_complete_and_its_images_agree_with_its_points(raw: Path) -> None:
    scan = "Area_5_office_3"
    check(raw, scan, "val")
    files = scan_files(raw, scan)
    frames, cloud = open_frames(files["frames"]), read_cloud(files["cloud"])
    assert len(frames.frame_ids) == 12
    assert len(np.unique(frames.color_intrinsics[:, 0, 0])) == 12
    found = require(frames, cloud, scan)
    assert found.offset < PARAMS["spacing"]


def test_every_image_shows_points_where_its_depth_says(raw: Path) -> None:
    files = scan_files(raw, "Area_5_office_3")
    frames, cloud = open_frames(files["frames"]), read_cloud(files["cloud"])
    shown = np.zeros(len(cloud.xyz), bool)
    for i, frame_id in enumerate(frames.frame_ids):
        frame = frames.read(frame_id)
        camera = transform(world_to_camera(frame.camera_to_world), cloud.xyz.astype(float))
        uv = np.floor(project(frames.color_intrinsics[i], camera) + 0.5)
        inside = (camera[:, 2] > 0) & (uv >= 0).all(1) & (uv < 64).all(1)
        column, row = uv[inside].astype(int).T
        depth = frame.depth[row, column] / frames.depth_scale
        near = abs(depth - camera[inside, 2]) < 0.01
        assert near.mean() > 0.3
        shown[np.flatnonzero(inside)[near]] = True
    assert shown.mean() > 0.95


def test_the_things_of_a_room_have_the_classes_of_the_dataset(raw: Path) -> None:
    files = scan_files(raw, "Area_5_office_3")
    names = {path.stem for path in files["labels"].values()}
    assert {"wall_1", "beam_1", "column_1"} <= names
    assert names & {"clutter_1", "stairs_1"}
    labels = read_labels(files["labels"], CLASSES)
    seen = {NAMES[i] for i in np.unique(labels.label)}
    assert {"wall", "beam", "column", "clutter"} <= seen


def test_areas_differ_in_release_and_rooms_in_everything_else() -> None:
    drawn = [
        s3dis_scan.draw_variety(area, np.random.default_rng([seed, 3]))
        for area in "12345"
        for seed in range(20)
    ]
    assert {each.angle for each in drawn} == {0, 90, 180, 270}
    assert {each.images for each in drawn} == {
        f"area_{n}" for n in ("1", "2", "3", "4", "5a", "5b")
    }
    assert {
        (each.images, each.release) for each in drawn if each.images in ("area_1", "area_2")
    } == {
        ("area_1", NOT_ALIGNED),
        ("area_2", ALIGNED),
    }
    assert {each.damaged for each in drawn} == {each.stairs for each in drawn} == {False, True}
