"""ScanNet's points, segments and labels."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.geometry.mesh import vertex_normals
from pipeline.readers.scannet.cloud import read_cloud
from pipeline.readers.scannet.files import LABEL_MAP as LABEL_MAP_NAME
from pipeline.readers.scannet.files import check_classes, scan_files
from pipeline.readers.scannet.labels import read_label_map, read_labels
from pipeline.simulate.scannet_files import write_label_map_tsv, write_scan
from pipeline.simulate.scannet_mesh import write_labels_mesh
from tests.helpers.raw_reader_suite import assert_is_cloud, assert_is_labels
from tests.helpers.tiny_scannet import (
    CHAIR,
    CLASSES,
    LABEL_MAP,
    RACK,
    STAND,
    WARDROBE,
    scan,
    surface,
    write_label_map,
)

NAME = "scene9000_00"
EXPECTED_LABEL = [0, 0, -1, -1, 1, 1, -1, -1, -1, -1]  # strays 50 and 149, and 0, are ignored
EXPECTED_INSTANCE = [CHAIR, CHAIR, 0, 0, WARDROBE, WARDROBE, RACK, RACK, STAND, STAND]


@pytest.fixture(params=[("released", False), ("released", True), ("compact", True)], ids=str)
def raw(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    style, crlf = request.param
    alignment = np.array([[0, 1, 0, -3], [-1, 0, 0, 2], [0, 0, 1, 0.5], [0, 0, 0, 1.0]])
    tiny = scan(NAME, axis_alignment=alignment, scene_type="Office")
    write_scan(tmp_path / "scans", tiny, style, crlf)
    write_label_map_tsv(tmp_path / LABEL_MAP_NAME, LABEL_MAP, crlf)
    return tmp_path


@pytest.fixture
def one(tmp_path: Path) -> Path:
    write_scan(tmp_path / "scans", scan(NAME))
    return tmp_path / "scans" / NAME


def files(raw: Path, group: str) -> dict[str, Path]:
    return scan_files(raw, NAME)[group]


def edit_json(path: Path, key: str, value: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


def test_the_cloud_is_the_unaligned_mesh(raw: Path) -> None:
    cloud, written = read_cloud(files(raw, "cloud")), surface()
    assert_is_cloud(cloud)
    assert np.array_equal(cloud.xyz, written.xyz)
    assert np.array_equal(cloud.rgb, written.rgb)
    assert np.array_equal(cloud.segment, written.segment)
    assert (np.linalg.norm(cloud.normal, axis=1) > 0).all()


def test_labels_and_instances_are_those_of_the_objects(raw: Path) -> None:
    labels = read_labels(files(raw, "labels"), CLASSES)
    assert_is_labels(labels, 10, len(CLASSES))
    assert labels.label.tolist() == EXPECTED_LABEL
    assert labels.instance.tolist() == EXPECTED_INSTANCE


def test_without_a_label_mesh_the_label_map_gives_the_labels(raw: Path) -> None:
    next((raw / "scans" / NAME).glob("*.labels.ply")).unlink()
    labels = read_labels(files(raw, "labels"), CLASSES)
    # the label map calls the rack otherfurniture, the label mesh had the stray id 50
    assert labels.label.tolist() == [0, 0, -1, -1, 1, 1, 1, 1, -1, -1]
    assert labels.instance.tolist() == EXPECTED_INSTANCE


def test_scannet200_s_labels_are_the_ids_of_raw_categories_in_the_label_map(raw: Path) -> None:
    # the label mesh, which has NYU40's ids, does not count: chair and wardrobe are ids 2 and 93
    write_label_map(raw / LABEL_MAP_NAME, {"chair": 2, "wardrobe": 93, "rack": 50, "stand": 7})
    classes = [{"name": "wardrobe", "label_id": 93}, {"name": "chair", "label_id": 2}]
    classes += [{"name": "stand", "label_id": 7}]
    labels = read_labels(files(raw, "labels"), classes)
    assert_is_labels(labels, 10, 3)
    assert labels.label.tolist() == [1, 1, -1, -1, 0, 0, -1, -1, 2, 2]
    assert labels.instance.tolist() == EXPECTED_INSTANCE


def test_scannet200_needs_the_label_map_and_says_so_before_a_job_starts(one: Path) -> None:
    raw, classes = one.parent.parent, [{"name": "chair", "label_id": 2}]
    with pytest.raises(BadInput, match=r"lacks scannetv2-labels\.combined\.tsv"):
        check_classes(raw, classes)
    with pytest.raises(BadInput, match="only the label map knows, which is not there"):
        read_labels(files(raw, "labels"), classes)
    check_classes(raw, CLASSES)
    write_label_map(raw / LABEL_MAP_NAME, {"chair": 2})
    check_classes(raw, classes)


def test_a_class_that_is_not_requested_is_ignored(raw: Path) -> None:
    labels = read_labels(files(raw, "labels"), CLASSES[1:])
    assert labels.label.tolist() == [-1, -1, -1, -1, 0, 0, -1, -1, -1, -1]


def test_a_test_scan_has_a_cloud_without_segments_and_no_labels(tmp_path: Path) -> None:
    write_scan(tmp_path / "scans_test", scan(NAME, objects=None))
    assert (read_cloud(files(tmp_path, "cloud")).segment == -1).all()
    assert files(tmp_path, "labels") == {}
    assert "axisAlignment" not in (tmp_path / "scans_test" / NAME / f"{NAME}.txt").read_text()


def test_a_segment_listed_twice_keeps_its_first_group(one: Path) -> None:
    path = one / f"{NAME}.aggregation.json"
    groups = json.loads(path.read_text())["segGroups"]
    again = [{**group, "objectId": group["objectId"] + 31} for group in groups]
    edit_json(path, "segGroups", groups + again)
    labels = read_labels(files(one.parent.parent, "labels"), CLASSES)
    assert labels.instance.tolist() == EXPECTED_INSTANCE


@pytest.mark.parametrize("key", ["sceneId", "segmentsFile"])
def test_a_prefix_of_names_inside_the_json_changes_nothing(one: Path, key: str) -> None:
    edit_json(one / f"{NAME}.aggregation.json", key, f"scannet.{NAME}")
    labels = read_labels(files(one.parent.parent, "labels"), CLASSES)
    assert labels.label.tolist() == EXPECTED_LABEL


def test_segments_of_another_length_are_refused(one: Path) -> None:
    edit_json(one / f"{NAME}_vh_clean_2.0.010000.segs.json", "segIndices", [0] * 9)
    with pytest.raises(BadInput, match="9 segment ids for a mesh of 10 vertices"):
        read_cloud(files(one.parent.parent, "cloud"))


@pytest.mark.parametrize("ids", [[-1] * 10, [0.5] * 10, ["0"] * 10, [2**31] * 10, [True] * 10])
def test_segments_that_are_not_indices_are_refused(one: Path, ids: list) -> None:
    edit_json(one / f"{NAME}_vh_clean_2.0.010000.segs.json", "segIndices", ids)
    with pytest.raises(BadInput, match="segIndices"):
        read_cloud(files(one.parent.parent, "cloud"))


def test_a_label_mesh_of_another_length_is_refused(one: Path) -> None:
    shorter = surface()
    shorter = dataclasses.replace(
        shorter,
        xyz=shorter.xyz[:8],
        rgb=shorter.rgb[:8],
        faces=shorter.faces[:6],
        segment=shorter.segment[:8],
        object_id=shorter.object_id[:8],
    )
    write_labels_mesh(one / f"{NAME}_vh_clean_2.labels.ply", shorter, scan().objects or {})
    with pytest.raises(BadInput, match="labels 8 vertices of a mesh of 10"):
        read_labels(files(one.parent.parent, "labels"), CLASSES)


def test_a_label_mesh_with_other_positions_is_refused(one: Path) -> None:
    moved = dataclasses.replace(surface(), xyz=surface().xyz[::-1])
    write_labels_mesh(one / f"{NAME}_vh_clean_2.labels.ply", moved, scan().objects or {})
    with pytest.raises(BadInput, match="elsewhere"):
        read_labels(files(one.parent.parent, "labels"), CLASSES)


def test_labels_that_were_not_downloaded_are_reported(one: Path) -> None:
    with pytest.raises(BadInput, match="lacks the files of the dense labels"):
        read_labels(files(one.parent.parent, "cloud"), CLASSES)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (b"element vertex 10\n", b"element vertex 11\n"),
        (b"element vertex 10\n", b"element vertex 9\n"),
        (b"element vertex 10\n", b"element vertex 0\n"),
        (b"element vertex 10\n", b"element vertex 999999999999\n"),
        (b"element face 8\n", b"element face 7\n"),
        (b"element face 8\n", b"element face 999999999999\n"),
        (b"binary_little_endian", b"ascii"),
        (b"property float x\n", b""),
        (b"uchar int vertex_indices", b"uint int vertex_indices"),
    ],
)
def test_a_mesh_with_a_wrong_header_is_refused(one: Path, wrong: bytes, right: bytes) -> None:
    path = one / f"{NAME}_vh_clean_2.ply"
    data = path.read_bytes()
    assert wrong in data
    path.write_bytes(data.replace(wrong, right))
    with pytest.raises(BadInput):
        read_cloud(files(one.parent.parent, "cloud"))


@pytest.mark.parametrize("index", [-1, 10])
def test_a_face_of_a_vertex_that_does_not_exist_is_refused(tmp_path: Path, index: int) -> None:
    faces = surface().faces.copy()
    faces[3, 1] = index
    write_scan(tmp_path / "scans", scan(NAME, mesh=dataclasses.replace(surface(), faces=faces)))
    with pytest.raises(BadInput, match="does not exist"):
        read_cloud(files(tmp_path, "cloud"))


def test_a_vertex_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    xyz = surface().xyz.copy()
    xyz[4, 2] = np.nan
    write_scan(tmp_path / "scans", scan(NAME, mesh=dataclasses.replace(surface(), xyz=xyz)))
    with pytest.raises(BadInput, match="not finite"):
        read_cloud(files(tmp_path, "cloud"))


def test_normals_are_the_mean_of_the_faces_by_their_area() -> None:
    # two triangles share an edge along y: one level (area 3), one upright (area 1)
    xyz = np.array([[0, 0, 0], [0, 2, 0], [-3, 0, 0], [0, 0, -1], [9, 9, 9]], np.float32)
    faces = np.array([[0, 1, 2], [0, 3, 1]], np.int32)
    normals = vertex_normals(xyz, faces)
    assert np.allclose(normals[2], [0, 0, 1])
    assert np.allclose(normals[3], [1, 0, 0])
    assert np.allclose(normals[0], np.array([1, 0, 3]) / np.sqrt(10))
    assert normals[4].tolist() == [0, 0, 0]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r\r\n"])
def test_the_label_map_is_read_with_any_line_ends(tmp_path: Path, line_end: str) -> None:
    path = tmp_path / "map.tsv"
    write_label_map_tsv(path, LABEL_MAP, crlf=False)
    text = path.read_text()
    assert not text.endswith("\n")
    assert all(line.count("\t") == 16 for line in text.splitlines())
    path.write_bytes(text.replace("\n", line_end).encode())
    assert read_label_map(path) == LABEL_MAP


def test_a_file_that_is_not_a_label_map_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.tsv").write_text("category\tnyuId\nchair\t5\n")
    with pytest.raises(BadInput, match="label map"):
        read_label_map(tmp_path / "map.tsv")
