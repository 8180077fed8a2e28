"""Projection: how views count, and what the stage writes for a room of known planes."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import zarr

from pipeline.errors import BadInput
from pipeline.geometry import cameras as geometry
from pipeline.geometry.visibility import Camera, see
from pipeline.scan import Cloud
from pipeline.stages import frames, projections, voxels
from pipeline.stages.projections import Weighting, weigh
from tests.helpers import planes, room

Entries = tuple[Any, Any]  # frames and voxels

K = np.array([[150.0, 0, 80.2], [0, 152, 59.1], [0, 0, 1]])


def _weight(point: list[float], normal: list[float], weighting: Weighting) -> float:
    xyz = np.array([point], np.float32)
    uv = geometry.project(K, xyz.astype(float))
    view = Camera((160, 120), K, np.zeros((120, 160), np.uint16), 1000.0, K, np.eye(4))
    normals = np.array([normal], np.float32)
    return float(weigh(view, xyz, normals, uv, xyz[:, 2].astype(float), weighting)[0])


def test_the_weight_falls_with_the_angle_of_incidence() -> None:
    plain = Weighting(incidence_power=1, half_distance=None, border_ramp=0)
    slanted = [0, np.sin(np.pi / 3), np.cos(np.pi / 3)]
    assert _weight([0, 0, 2], [0, 0, -1], plain) == 1
    assert _weight([0, 0, 2], [0, 0, 1], plain) == 1, "which way a normal points is a convention"
    assert _weight([0, 0, 2], slanted, plain) == pytest.approx(0.5, abs=1e-3)
    squared = replace(plain, incidence_power=2)
    assert _weight([0, 0, 2], slanted, squared) == pytest.approx(0.25, abs=1e-3)
    assert _weight([0, 0, 2], [0, 0, 0], plain) == 1, "no normal, no penalty"
    assert 0 < _weight([0, 0, 2], [1, 0, 0], plain) < 0.01, "seen is seen"


def test_the_weight_halves_at_the_half_distance() -> None:
    far = Weighting(incidence_power=0, half_distance=2.0, border_ramp=0)
    assert _weight([0, 0, 2], [0, 0, 1], far) == pytest.approx(0.5)
    assert _weight([0, 0, 4], [0, 0, 1], far) == pytest.approx(0.2, abs=1e-3)


def test_the_weight_falls_towards_the_edge_of_the_image() -> None:
    ramp = Weighting(incidence_power=0, half_distance=None, border_ramp=20)
    for pixel, expected in (([80, 60], 1), ([9.5, 60], 0.5), ([80, 114.5], 0.25)):
        point = geometry.unproject(K, np.array([pixel], float), np.array([2.0]))[0]
        assert _weight(point.tolist(), [0, 0, 1], ramp) == pytest.approx(expected, abs=1e-3)


@pytest.fixture(scope="module")
def raw() -> room.Recording:
    return room.recording(n_frames=5, color_size=(320, 240), depth_size=(240, 180))


@pytest.fixture(scope="module")
def entries(raw: room.Recording) -> Entries:
    entry = room.run(voxels, {"voxel_size": 0.05}, raw=room.cloud(0.06))
    return room.run(frames, {"every": 1}, raw=raw), entry


def test_a_room_is_seen_as_ray_casting_says(raw: room.Recording, entries: Entries) -> None:
    """Where depth is smooth around a voxel's pixel, geometry alone decides."""
    out = room.run(projections, room.PROJECTIONS, frames=entries[0], voxels=entries[1])
    xyz, offsets, voxel = entries[1]["voxel_xyz"][:], out["offsets"][:], out["voxel"][:]
    scene, sure_seen, sure = planes.box_room(), 0, 0
    on_plane = planes.distance_to_planes(scene, xyz) < 1e-6  # a mean across an edge lies beside it
    for f, pose in enumerate(raw.poses):
        in_camera = geometry.transform(geometry.world_to_camera(pose), xyz[on_plane])
        uv = geometry.project(raw.color_intrinsics, in_camera)
        inside = (in_camera[:, 2] > 0) & ((uv > 3) & (uv < [316, 236])).all(1)
        column, row = np.rint(geometry.project(raw.depth_intrinsics, in_camera[inside])).T
        depth = np.pad(raw.depth[f] / 1000, 1, mode="edge")
        around = np.stack(
            [depth[row.astype(int) + i, column.astype(int) + j] for i in range(3) for j in range(3)]
        )
        smooth = np.ptp(around, axis=0) < 0.03
        candidates, z = np.flatnonzero(on_plane)[inside][smooth], in_camera[inside][smooth, 2]
        ray = xyz[candidates] - pose[:3, 3]
        hidden_by = (1 - planes.trace(scene, pose[:3, 3], ray)[0]) * z  # metres of depth
        clear = (hidden_by < 1e-3) | (hidden_by > 0.1)  # in between tolerance and noise decide
        found = np.isin(candidates, voxel[offsets[f] : offsets[f + 1]])
        np.testing.assert_array_equal(found[clear], hidden_by[clear] < 1e-3)
        sure_seen, sure = sure_seen + found[clear].sum(), sure + clear.sum()
    assert sure_seen > 3000
    assert sure - sure_seen > 1000, "something must be hidden"


def test_pairs_are_ordered_and_complete(entries: Entries) -> None:
    out = room.run(projections, room.PROJECTIONS, frames=entries[0], voxels=entries[1])
    kinds = {name: str(array.dtype) for name, array in out.arrays()}
    assert kinds == {"offsets": "int64", "voxel": "uint32", "uv": "float32", "weight": "float16"}
    offsets, voxel = out["offsets"][:], out["voxel"][:]
    assert len(offsets) == 6
    assert (np.diff(offsets) > 500).all()
    for first, last in pairwise(offsets):
        assert (np.diff(voxel[first:last].astype(int)) > 0).all()
    assert offsets[-1] == len(voxel) == len(out["uv"][:]) == len(out["weight"][:])
    assert (out["weight"][:] > 0).all()
    assert (out["weight"][:] <= 1).all()


def test_chunks_and_buffers_do_not_change_the_pairs(entries: Entries) -> None:
    out = room.run(projections, room.PROJECTIONS, frames=entries[0], voxels=entries[1])
    views = [
        tuple(out[name][first:last] for name in ("voxel", "uv", "weight"))
        for first, last in pairwise(out["offsets"][:])
    ]
    other: Any = zarr.create_group(zarr.storage.MemoryStore())
    projections.write_pairs(other, views, chunk=700, buffered=1500)
    assert other["voxel"].chunks == (700,)
    for name in ("offsets", "voxel", "uv", "weight"):
        np.testing.assert_array_equal(out[name][:], other[name][:])


def test_every_frame_has_cameras_of_its_own(entries: Entries) -> None:
    view, other = list(projections.read_cameras(entries[0]))[:2]
    zoomed = replace(view, color_intrinsics=view.color_intrinsics @ np.diag([1.1, 1.1, 1]))
    points = entries[1]["voxel_xyz"][:]
    index, uv, _ = see(zoomed, points, absolute_tolerance=0.02, relative_tolerance=0.0)
    in_camera = geometry.transform(geometry.world_to_camera(view.camera_to_world), points[index])
    np.testing.assert_allclose(uv, geometry.project(zoomed.color_intrinsics, in_camera))
    assert not np.array_equal(other.camera_to_world, view.camera_to_world)


def test_a_frame_without_a_pose_adds_no_pair(raw: room.Recording, entries: Entries) -> None:
    lost = replace(raw, poses=raw.poses.copy())
    lost.poses[1] = -np.inf
    fewer = room.run(frames, {"every": 1}, raw=lost)
    out = room.run(projections, room.PROJECTIONS, frames=fewer, voxels=entries[1])
    whole = room.run(projections, room.PROJECTIONS, frames=entries[0], voxels=entries[1])
    first, last = whole["offsets"][1:3]
    expected = np.delete(whole["voxel"][:], slice(first, last))
    np.testing.assert_array_equal(out["voxel"][:], expected)
    assert np.isfinite(out["uv"][:]).all()


def test_a_scan_whose_images_and_points_disagree_is_refused_if_asked(entries: Entries) -> None:
    seen, points = entries
    strict = {**room.PROJECTIONS, "max_offset": 0.05}
    plain = room.run(projections, room.PROJECTIONS, frames=seen, voxels=points)
    checked = room.run(projections, strict, frames=seen, voxels=points)
    for name in ("offsets", "voxel", "uv", "weight"):
        assert np.array_equal(plain[name], checked[name]), "the check changes nothing"
    moved = room.run(voxels, {"voxel_size": 0.05}, raw=shifted(room.cloud(0.06), (0, 0.2, 0)))
    with pytest.raises(BadInput, match="the scan: its images and its points disagree by 20 cm"):
        room.run(projections, strict, frames=seen, voxels=moved)
    room.run(projections, room.PROJECTIONS, frames=seen, voxels=moved)


@pytest.mark.parametrize(("away", "share"), [(100.0, 0.0), (0.0, 1.0)])
def test_a_scan_of_which_frames_see_too_little_is_refused(
    entries: Entries, raw: room.Recording, away: float, share: float
) -> None:
    """Nothing, however little is asked for, and less than what is asked for."""
    moved = room.run(voxels, {"voxel_size": 0.3}, raw=shifted(room.cloud(0.2), (away, 0.0, 0.0)))
    given = {**room.PROJECTIONS, "min_seen": share}
    with pytest.raises(BadInput, match=r"its 5 frames see \d+ of \d+ voxels"):
        room.run(projections, given, frames=entries[0], voxels=moved)


def shifted(cloud: Cloud, by: tuple[float, float, float]) -> Cloud:
    return replace(cloud, xyz=cloud.xyz + np.array(by, np.float32))
