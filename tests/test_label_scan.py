"""A trained network labels any scan, and answers queries if it was trained with a text tower."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from plyfile import PlyData, PlyElement

from model.data.entries import read_array
from model.inference.colors import class_colors
from model.inference.ply import read_comments
from model.inference.unseen import voxelised
from pipeline.cli.main import main
from pipeline.errors import BadInput
from pipeline.geometry.clouds import completed
from pipeline.plan.manifest import read_classes
from pipeline.readers.any_scan import read_any
from pipeline.readers.s3dis import cloud as s3dis_cloud
from pipeline.readers.s3dis import files as s3dis_files
from pipeline.scan import Cloud
from pipeline.simulate.s3dis_files import write_room
from tests.helpers import tiny_clip, tiny_folders, tiny_s3dis
from tests.helpers.room_frames import frames
from tests.helpers.tiny_entries import CLASSES, VOXEL_SIZE
from tests.helpers.tiny_network import network
from tests.helpers.tiny_ply import points, write_ply

VOXEL = VOXEL_SIZE


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_clip.write(tmp_path_factory.mktemp("clip"))


def run(scan: Path, trained: Path, out: Path, *more: str) -> Result:
    options = [f"--scan={scan}", f"--network={trained}", f"--out={out}", *more]
    return CliRunner().invoke(main, ["predict", *options])


def test_points_come_back_in_place_with_class_confidence_and_segment(
    tmp_path: Path, clip: str
) -> None:
    xyz = points()
    out, trained = tmp_path / "out", network(tmp_path, clip)
    done = run(write_ply(tmp_path / "room.ply", xyz), trained, out)
    assert done.exit_code == 0, done.output
    vertex = PlyData.read(str(out / "labels.ply"))["vertex"]
    written = np.stack([vertex[axis] for axis in "xyz"], 1)
    np.testing.assert_array_equal(written, xyz.astype(np.float32))
    assert set(vertex["label"]) <= set(range(len(CLASSES)))
    assert ((vertex["confidence"] > 1 / 6) & (vertex["confidence"] <= 1)).all()
    cell = np.floor(written.astype(np.float64) / VOXEL).astype(int)
    _, voxel = np.unique(cell, axis=0, return_inverse=True)
    for values in (vertex["label"], vertex["segment"]):
        assert all(len(np.unique(values[voxel == v])) == 1 for v in range(0, voxel.max(), 50))
    counted = {line["name"]: line["points"] for line in read_comments(out / "labels.ply")}
    assert counted == {c: int((vertex["label"] == k).sum()) for k, c in enumerate(CLASSES)}
    assert "3,000 points" in done.stdout
    assert not (out / "heat.ply").exists()


def test_the_name_of_a_class_as_a_query_is_hottest_where_that_class_is(
    tmp_path: Path, clip: str
) -> None:
    out, trained = tmp_path / "out", network(tmp_path, clip)
    scan = write_ply(tmp_path / "room.ply", points())
    similarity = []
    for name in CLASSES:
        assert run(scan, trained, out, f"--query={name}").exit_code == 0
        heat = PlyData.read(str(out / "heat.ply"))["vertex"]
        similarity.append(np.array(heat["similarity"]))
        assert read_comments(out / "heat.ply")[0]["query"] == name
    label = np.array(PlyData.read(str(out / "labels.ply"))["vertex"]["label"])
    ranked = np.sort(similarity, axis=0)
    clear = ranked[-1] - ranked[-2] > 1e-5
    assert clear.any()
    np.testing.assert_array_equal(np.argmax(similarity, axis=0)[clear], label[clear])


@pytest.mark.parametrize(
    ("variant", "has_tower", "changed", "said"),
    [
        ("supervised", False, {}, "trained with dense labels"),
        ("esgs", False, {}, "trained with features that were made elsewhere"),
        ("esgs", True, {"weights": "0" * 64}, "other weights than those"),
        ("esgs", True, {"model": "local-dir:nowhere"}, "no such file"),
    ],
)
def test_a_network_without_its_text_tower_refuses_queries_in_one_sentence(
    variant: str,
    has_tower: bool,
    changed: dict[str, str],
    said: str,
    tmp_path: Path,
    clip: str,
) -> None:
    trained = network(tmp_path, clip if has_tower else None, variant, **changed)
    scan = write_ply(tmp_path / "room.ply", points())
    done = run(scan, trained, tmp_path / "out", "--query=a chair")
    assert done.exit_code == 1
    assert said in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()
    assert run(scan, trained, tmp_path / "out").exit_code == 0, "labels need no tower"


@pytest.mark.parametrize("missing", ["scan", "network"])
def test_a_required_option_that_is_missing_is_named(missing: str) -> None:
    given = {"scan": "a.ply", "network": "b.safetensors"} | {missing: ""}
    options = [f"--{name}={value}" for name, value in given.items()]
    done = CliRunner().invoke(main, ["predict", *options])
    assert done.exit_code == 1
    assert done.stderr == f"predict: no {missing} is named; name it with --{missing}=PATH.\n"


def test_scannet_s3dis_and_frames_are_recognised_by_their_folders(tmp_path: Path) -> None:
    mesh = tmp_path / "scans" / "scene0000_00"
    mesh.mkdir(parents=True)
    write_ply(mesh / "scene0000_00_vh_clean_2.ply", points())
    assert (len(read_any(mesh)[0].xyz), read_any(mesh)[1]) == (3000, "a scan of ScanNet")
    room = tiny_s3dis.room()
    write_room(tmp_path, room)
    folder = next(tmp_path.rglob("office_1"))
    cloud, kind = read_any(folder)
    assert (len(cloud.xyz), kind) == (len(room.xyz), "a room of S3DIS")
    tiny_folders.write_own(tmp_path / "walk", frames())
    cloud, kind = read_any(tmp_path / "walk")
    assert kind == "frames, fused"
    assert len(cloud.xyz) > 1000


def test_what_is_no_scan_in_metres_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file or folder"):
        read_any(tmp_path / "nothing.ply")
    millimetres = write_ply(tmp_path / "millimetres.ply", 1000 * points())
    with pytest.raises(BadInput, match="m high if its unit"):
        read_any(millimetres)


def test_a_scan_with_another_axis_up_is_turned(tmp_path: Path) -> None:
    xyz = points()
    lying = np.stack([xyz[:, 0], xyz[:, 2], -xyz[:, 1]], 1)  # y is up
    turned = read_any(write_ply(tmp_path / "lying.ply", lying), "y")[0]
    np.testing.assert_allclose(turned.xyz, xyz, atol=1e-6)


def test_normals_of_a_file_are_kept_and_turn_with_it(tmp_path: Path) -> None:
    xyz = points()
    lying = np.stack([xyz[:, 0], xyz[:, 2], -xyz[:, 1]], 1)  # y is up
    up = np.tile([0.0, 1.0, 0.0], (len(xyz), 1))
    turned = read_any(write_ply(tmp_path / "lying.ply", lying, normal=up), "y")[0]
    np.testing.assert_allclose(turned.normal, np.tile([0, 0, 1], (len(xyz), 1)), atol=1e-6)
    mesh = tmp_path / "scans" / "scene0000_00"
    mesh.mkdir(parents=True)
    write_ply(mesh / "scene0000_00_vh_clean_2.ply", xyz, normal=up)
    np.testing.assert_allclose(read_any(mesh)[0].normal, up)
    assert not read_any(write_ply(tmp_path / "bare.ply", xyz))[0].normal.any()


def test_unknown_normals_are_those_that_s3dis_is_trained_with(tmp_path: Path) -> None:
    room = tiny_s3dis.room()
    write_room(tmp_path, room)
    raw, scan = s3dis_files.recognise(next(tmp_path.rglob("office_1"))) or (tmp_path, "")
    trained = s3dis_cloud.read_cloud(s3dis_files.scan_files(raw, scan)["cloud"])
    read, _ = read_any(next(tmp_path.rglob("office_1")))
    assert not read.normal.any()
    whole = completed(read, normals=True, superpoints=False)
    assert ((whole.normal * trained.normal).sum(1) > 0.99).mean() > 0.95
    assert (whole.segment == -1).all()


def test_known_normals_and_superpoints_are_kept() -> None:
    xyz = points().astype(np.float32)
    normal, segment = (
        np.tile(np.array([0, 0.6, 0.8], np.float32), (len(xyz), 1)),
        np.arange(len(xyz)) // 9,
    )
    known = Cloud(xyz, np.zeros(xyz.shape, np.uint8), normal, segment.astype(np.int32))
    assert completed(known, normals=True, superpoints=True) is known
    bare = Cloud(xyz, known.rgb, np.zeros_like(normal), np.full(len(xyz), -1, np.int32))
    assert completed(bare, normals=False, superpoints=False) is bare
    found = completed(bare, normals=False, superpoints=True)
    assert not found.normal.any()
    assert found.segment.min() >= 0


@pytest.mark.parametrize("count", [1, 3, 3000])
def test_with_votes_all_voxels_of_a_superpoint_have_one_class(
    count: int, tmp_path: Path, clip: str
) -> None:
    scan, trained = write_ply(tmp_path / "room.ply", points()[:count]), network(tmp_path, clip)
    done = run(scan, trained, tmp_path / "voted", "--votes")
    assert done.exit_code == 0, done.output
    assert "superpoints, computed from its points" in done.stdout
    vertex = PlyData.read(str(tmp_path / "voted" / "labels.ply"))["vertex"]
    cloud = completed(read_any(scan)[0], normals=False, superpoints=True)
    voxels = voxelised(cloud, VOXEL)
    of_point = read_array(voxels, "voxel_segment")[read_array(voxels, "voxel_of_point")]
    for values in (vertex["label"], vertex["confidence"]):
        assert all(len(np.unique(values[of_point == name])) == 1 for name in np.unique(of_point))
    if count > 3:
        for option in ("--votes=no", "--up=z"):
            done = run(scan, trained, tmp_path / "plain", option)
            plain = PlyData.read(str(tmp_path / "plain" / "labels.ply"))["vertex"]
            assert (plain["label"] != vertex["label"]).any()
            assert "votes:" not in done.stdout


def test_votes_take_the_superpoints_of_a_scannet_scan_and_only_votes_read_them(
    tmp_path: Path, clip: str
) -> None:
    mesh, trained = tmp_path / "scans" / "scene0000_00", network(tmp_path, clip)
    mesh.mkdir(parents=True)
    xyz = points()
    write_ply(mesh / "scene0000_00_vh_clean_2.ply", xyz)
    halves = (xyz[:, 1] > 1.5).astype(int)
    segments = mesh / "scene0000_00_vh_clean_2.0.010000.segs.json"
    segments.write_text(json.dumps({"segIndices": halves.tolist()}))
    done = run(mesh, trained, tmp_path / "out", "--votes")
    assert "2 superpoints, those of the scan" in done.stdout, done.output
    label = PlyData.read(str(tmp_path / "out" / "labels.ply"))["vertex"]["label"]
    inside = np.abs(xyz[:, 1] - 1.5) > VOXEL
    assert all(len(np.unique(label[inside & (halves == half)])) == 1 for half in (0, 1))
    segments.write_text("{")
    assert run(mesh, trained, tmp_path / "out").exit_code == 0
    done = run(mesh, trained, tmp_path / "out", "--votes")
    assert done.exit_code == 1
    assert "segs.json: is not a complete JSON file" in done.stderr


@pytest.mark.parametrize("dataset", ["scannet", "s3dis"])
def test_classes_have_the_colours_of_their_own_dataset(dataset: str) -> None:
    classes = read_classes(Path("data_manifest", dataset, "classes.csv"))
    wanted = {each["name"]: each["color"] for each in classes}
    assert class_colors(list(wanted)).items() >= wanted.items()
    assert class_colors(["a class that no list has"]) == {}


def test_a_georeferenced_cloud_with_holes_is_written_as_it_was_read(
    tmp_path: Path, clip: str
) -> None:
    xyz = points() + np.array([448262.25, 5411932.5, 112])
    xyz[::50] = np.nan
    names = [(axis, "f8") for axis in "xyz"] + [(c, "u1") for c in ("red", "green", "blue")]
    vertex = np.zeros(len(xyz), names)
    for axis, column in zip("xyz", xyz.T, strict=True):
        vertex[axis] = column
    PlyData([PlyElement.describe(vertex, "vertex")]).write(str(tmp_path / "utm.ply"))
    with pytest.warns(UserWarning, match="60 of 3,000 points have no position"):
        done = run(tmp_path / "utm.ply", network(tmp_path, clip), tmp_path / "out")
    assert done.exit_code == 0, done.output
    found = PlyData.read(str(tmp_path / "out/labels.ply"))["vertex"]
    np.testing.assert_allclose(np.stack([found[a] for a in "xyz"], 1), xyz, rtol=0, atol=1e-3)
    assert (found["label"][::50] == -1).all()
    assert np.count_nonzero(found["label"] < 0) == 60
