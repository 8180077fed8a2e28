"""The points of a folder: its PLY file as any program writes it, or its depth images fused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plyfile import PlyData, PlyElement
from scipy.spatial import cKDTree

from pipeline.doctor.report import examine
from pipeline.doctor.scans import of_folder
from pipeline.errors import BadInput
from pipeline.geometry.agreement import measure, seen_points
from pipeline.geometry.cameras import transform
from pipeline.readers.folder import fuse
from pipeline.readers.folder.cloud import read_cloud
from pipeline.readers.folder.files import scan_files
from pipeline.readers.folder.frames import open_frames
from pipeline.scan import Cloud
from tests.helpers import planes
from tests.helpers.raw_reader_suite import assert_is_cloud
from tests.helpers.room_frames import Y_UP, frames, put
from tests.helpers.tiny_folders import LAYOUTS, write_own

ROOM = planes.box_room()
MESH = planes.surface(ROOM, 0.2)
RGB = np.array([thing.rgb for thing in ROOM.things], np.uint8)[MESH.thing]


def cloud_of(folder: Path) -> Cloud:
    return read_cloud(scan_files(folder.parent, folder.name)["cloud"])


def write_ply(path: Path, columns: dict[str, np.ndarray], faces: Any = None, **how: Any) -> None:
    """A PLY file of vertices with these properties, and faces (T, k)."""
    vertex = np.zeros(len(next(iter(columns.values()))), [(n, c.dtype) for n, c in columns.items()])
    for name, column in columns.items():
        vertex[name] = column
    elements = [PlyElement.describe(vertex, "vertex")]
    if faces is not None:
        corners = np.zeros(len(faces), [("vertex_index", "i4", (len(faces[0]),))])
        corners["vertex_index"] = faces
        elements.append(PlyElement.describe(corners, "face"))
    PlyData(elements, **how).write(str(path))


def columns(names: str, values: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(names.split(), values.T, strict=True))


XYZ = columns("x y z", MESH.vertices)
COLORS = columns("red green blue", RGB)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_own(tmp_path / "scan", frames(3, whole=True))
    return tmp_path / "scan"


@pytest.mark.parametrize("how", [{}, {"text": True}, {"byte_order": ">"}])
def test_a_cloud_is_read_as_written(folder: Path, how: dict) -> None:
    write_ply(folder / "a.ply", XYZ | COLORS, **how)
    cloud = cloud_of(folder)
    assert_is_cloud(cloud)
    assert np.array_equal(cloud.xyz, MESH.vertices)
    assert np.array_equal(cloud.rgb, RGB)
    assert len(np.unique(cloud.segment)) > 1


def test_a_mesh_gives_the_normals_of_its_faces_and_a_cloud_its_own(folder: Path) -> None:
    write_ply(folder / "a.ply", XYZ | COLORS, MESH.faces)
    assert np.allclose(cloud_of(folder).normal, MESH.normal, atol=1e-6)
    backwards = columns("nx ny nz", -3 * MESH.normal)
    write_ply(folder / "a.ply", XYZ | COLORS | backwards, MESH.faces)
    assert np.allclose(cloud_of(folder).normal, -MESH.normal, atol=1e-6)


def test_faces_may_have_four_corners_and_coordinates_be_doubles(folder: Path) -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    write_ply(folder / "a.ply", columns("x y z", square) | columns("r g b", square), [[0, 1, 2, 3]])
    cloud = cloud_of(folder)
    assert np.allclose(cloud.normal, [0, 0, 1])
    assert np.array_equal(cloud.rgb, 255 * square)


def test_a_cloud_without_colours_becomes_grey_with_a_warning(folder: Path) -> None:
    write_ply(folder / "a.ply", XYZ)
    with pytest.warns(UserWarning, match="no colours"):
        assert (cloud_of(folder).rgb == 128).all()


def test_a_cloud_is_turned_upright_with_the_poses(tmp_path: Path) -> None:
    written = frames(6, whole=True)
    turned = [replace(f, camera_to_world=Y_UP @ f.camera_to_world) for f in written]
    write_own(tmp_path / "scan", turned)
    xyz = transform(Y_UP, MESH.vertices)
    normal = MESH.normal @ Y_UP[:3, :3].T
    write_ply(tmp_path / "scan/a.ply", columns("x y z", xyz) | columns("nx ny nz", normal) | COLORS)
    cloud = cloud_of(tmp_path / "scan")
    assert np.allclose(cloud.xyz, MESH.vertices, atol=1e-6)
    assert np.allclose(cloud.normal, MESH.normal, atol=1e-6)


def test_files_that_are_not_clouds_are_refused(folder: Path) -> None:
    path = folder / "a.ply"
    write_ply(path, XYZ | COLORS, MESH.faces)
    whole = path.read_bytes()
    count = str(len(MESH.vertices)).encode()
    for content, what in (
        (b"", "is not a PLY file"),
        (b"solid stl", "is not a PLY file"),
        (whole[:-1], "cannot be read|not a readable"),
        (whole.replace(b"vertex " + count, b"vertex 999999999999"), "claims"),
        (whole.replace(b"vertex " + count, b"vertex 0"), "has no vertex"),
        (whole.replace(b"float x", b"float q"), "not a readable"),
    ):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=what):
            cloud_of(folder)
    write_ply(path, XYZ | COLORS, [[0, 1, len(MESH.vertices)]])
    with pytest.raises(BadInput, match="does not exist"):
        cloud_of(folder)


# Fused depth

SIZE = (240, 180)


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Cloud]:
    folder = tmp_path_factory.mktemp("raw") / "scan"
    k = planes.color_intrinsics(SIZE)
    written = frames(12, SIZE, SIZE, k, whole=True)
    lost = replace(written[3], camera_to_world=np.full((4, 4), -np.inf))
    write_own(folder, [*written[:3], lost, *written[4:]])
    put(folder / "intrinsics.txt", k)
    return folder, cloud_of(folder)


def test_fused_points_are_on_the_planes_of_the_room(fused: tuple[Path, Cloud]) -> None:
    cloud = fused[1]
    assert_is_cloud(cloud)
    away = planes.distance_to_planes(ROOM, cloud.xyz.astype(float))
    assert len(cloud.xyz) > 5000
    assert np.median(away) < 0.001
    assert np.quantile(away, 0.95) < 0.004  # half a pixel off would be 9 mm
    # At the edge of what hides something, depth jumps from one pixel to the next.
    assert away.max() < 4 * fuse.VOXEL


def test_fused_points_cover_what_the_images_see(fused: tuple[Path, Cloud]) -> None:
    folder, cloud = fused
    found = measure(open_frames(scan_files(folder.parent, "scan")["frames"]), cloud)
    assert found.offset < fuse.VOXEL
    assert found.turn == 0


def test_fused_points_have_the_colour_and_the_side_of_their_plane(
    fused: tuple[Path, Cloud],
) -> None:
    cloud = fused[1]
    eye = np.array([2.0, 1.3, 1.5])
    inwards = ((eye - cloud.xyz) * cloud.normal).sum(1)
    assert (inwards > 0).mean() > 0.9
    on_floor = (cloud.xyz[:, 2] < 0.01) & (abs(cloud.xyz[:, 0] - 3.4) < 0.4)
    assert on_floor.sum() > 50
    assert np.median(abs(cloud.rgb[on_floor].astype(int) - ROOM.things[0].rgb)) < 12
    assert np.median(cloud.normal[on_floor][:, 2]) > 0.99


def test_fusing_twice_gives_equal_bytes(fused: tuple[Path, Cloud]) -> None:
    folder, cloud = fused
    again = cloud_of(folder)
    for name in ("xyz", "rgb", "normal", "segment"):
        assert getattr(cloud, name).tobytes() == getattr(again, name).tobytes()


def test_intrinsics_of_every_frame_and_smaller_depth_fuse_to_the_same_planes(
    tmp_path: Path,
) -> None:
    k = planes.color_intrinsics((320, 240))
    LAYOUTS["scanner"].write(tmp_path / "scan", frames(5, (320, 240), SIZE, k, whole=True))
    for path in (tmp_path / "scan").glob("frame_*.json"):
        values = json.loads(path.read_text()) | {"intrinsics": k.ravel().tolist()}
        put(path, json.dumps(values))
    cloud = cloud_of(tmp_path / "scan")
    away = planes.distance_to_planes(ROOM, cloud.xyz.astype(float))
    assert len(cloud.xyz) > 3000
    assert np.quantile(away, 0.95) < 0.005  # what one frame alone saw is no mean of several


def test_a_scan_without_depth_and_one_that_is_too_large_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (0, 6000):  # no depth, or all of it too far
        written = frames(3, whole=True)
        write_own(folder, [replace(f, depth=np.full_like(f.depth, value)) for f in written])
        with pytest.raises(BadInput, match="no frame with a pose has depth"):
            cloud_of(folder)
    write_own(folder, frames(3, whole=True))
    monkeypatch.setattr(fuse, "MAX_BLOCKS", 10)
    with pytest.raises(BadInput, match="more surface than 10 blocks"):
        cloud_of(folder)


def test_depth_that_is_too_far_to_be_fused_is_told_with_its_share(folder: Path) -> None:
    written = frames(3, whole=True)
    far = [f.depth.copy() for f in written]
    for depth in far:
        depth[:, : depth.shape[1] // 2] = 6000
    write_own(folder, [replace(f, depth=d) for f, d in zip(written, far, strict=True)])
    with pytest.warns(UserWarning, match=r"(4|5)[0-9] % of the depth is beyond 5 m, and left out"):
        cloud_of(folder)
    assert any("of the depth is beyond 5 m" in note for note in examine(of_folder(folder), 3).notes)


def test_a_surface_that_one_frame_alone_saw_is_kept(tmp_path: Path) -> None:
    for count in (1, 4):
        folder = tmp_path / f"scan{count}"
        k = planes.color_intrinsics(SIZE)
        write_own(folder, frames(40, SIZE, SIZE, k, whole=True)[:: 40 // count][:count])
        put(folder / "intrinsics.txt", k)
        cloud = cloud_of(folder)
        away = planes.distance_to_planes(ROOM, cloud.xyz.astype(float))
        assert len(cloud.xyz) > 2000 * count**0.5
        assert np.quantile(away, 0.95) < 0.006
        seen = seen_points(open_frames(scan_files(tmp_path, folder.name)["frames"]))
        assert (cKDTree(cloud.xyz).query(seen)[0] < 0.06).mean() > 0.95


@pytest.mark.parametrize("scale", [0.1, 0.2, 5.0])
def test_frames_that_contradict_each_other_are_no_cloud(tmp_path: Path, scale: float) -> None:
    written = frames(12, SIZE, SIZE, planes.color_intrinsics(SIZE), whole=True)
    write_own(
        tmp_path / "scan",
        [replace(f, depth=np.rint(f.depth * scale).astype(np.uint16)) for f in written],
    )
    put(tmp_path / "scan/intrinsics.txt", planes.color_intrinsics(SIZE))
    with pytest.raises(
        BadInput,
        match=r"frames disagree by .* where right scans do|within 25.* no two frames overlap",
    ):
        cloud_of(tmp_path / "scan")
