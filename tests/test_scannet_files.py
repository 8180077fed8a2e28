"""The files of a ScanNet scan: written byte for byte, found where they lie, listed by split."""

import csv
import dataclasses
import io
import json
import re
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from plyfile import PlyData

from pipeline.errors import BadInput
from pipeline.readers.scannet.files import check, scan_files
from pipeline.readers.scannet.nyu40 import NYU40
from pipeline.scan import Frame
from pipeline.simulate.scannet_files import annotate_segments, write_scan
from pipeline.simulate.scannet_sens import write_sens
from tests.helpers.tiny_scannet import LOST, OBJECTS, SENSOR, export, frames, scan, surface

NAME = "scene9000_00"
MANIFEST = Path("data_manifest/scannet")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_scan(tmp_path / "scans", scan(NAME))
    return tmp_path / "scans" / NAME


def test_a_sens_has_the_bytes_of_the_published_layout(home: Path) -> None:
    data = (home / f"{NAME}.sens").read_bytes()
    n = len(SENSOR.name)
    fields = struct.unpack_from(f"<IQ{n}s64f2i4IfQ", data)
    identity = np.eye(4).ravel().tolist()
    assert fields[:3] == (4, n, b"StructureSensor")
    assert fields[3:9] == (24.5, 0, 13.25, 0, 0, 24.25)
    assert list(fields[19:35]) == list(fields[51:67]) == identity
    assert fields[67:] == (2, 1, 27, 20, 16, 12, 1000.0, 5)
    position = 304 + n
    for frame in frames():
        record = struct.unpack_from("<16f4Q", data, position)
        pose = np.array(record[:16]).reshape(4, 4)
        assert np.array_equal(pose, frame.camera_to_world)
        assert record[16:18] == (frame.timestamp, frame.timestamp)
        color = data[position + 96 :][: record[18]]
        depth = data[position + 96 + record[18] :][: record[19]]
        assert color == frame.color
        assert zlib.decompress(depth) == frame.depth.tobytes()
        position += 96 + record[18] + record[19]
    assert struct.unpack_from("<Q", data, position) == (11,)
    assert len(data) == position + 8 + 128 * 11


def test_a_lost_pose_is_written_as_minus_infinity_whatever_it_was(tmp_path: Path) -> None:
    lost = [dataclasses.replace(frames()[0], camera_to_world=np.full((4, 4), np.nan))]
    write_sens(tmp_path / "a.sens", SENSOR, lost)
    record = (tmp_path / "a.sens").read_bytes()[304 + len(SENSOR.name) :]
    assert struct.unpack_from("<16f", record) == (-np.inf,) * 16


def test_frames_are_written_one_by_one(tmp_path: Path) -> None:
    path, sizes = tmp_path / "a.sens", []

    def stream() -> Iterator[Frame]:
        for frame in frames():
            sizes.append(path.stat().st_size)
            color = frame.color + bytes(100_000)  # larger than any buffer
            yield dataclasses.replace(frame, color=color)

    assert write_sens(path, SENSOR, stream()) == 5
    assert all(later - earlier > 90_000 for earlier, later in pairwise(sizes))


@pytest.mark.parametrize(
    ("ending", "comment", "vertex_bytes", "header_bytes"),
    [("_vh_clean_2.ply", "VCGLIB", 16, 273), ("_vh_clean_2.labels.ply", "MLIB", 18, 293)],
)
def test_meshes_have_the_header_and_the_size_of_the_release(
    home: Path, ending: str, comment: str, vertex_bytes: int, header_bytes: int
) -> None:
    path = home / (NAME + ending)
    data, written = path.read_bytes(), surface()
    vertices, faces = len(written.xyz), len(written.faces)
    header = header_bytes + len(str(vertices)) + len(str(faces))
    assert data[:header].endswith(b"\nend_header\n")
    assert data.startswith(
        f"ply\nformat binary_little_endian 1.0\ncomment {comment} generated\n"
        f"element vertex {vertices}\nproperty float x\n".encode()
    )
    assert len(data) == header + vertex_bytes * vertices + 13 * faces
    ply = PlyData.read(path)
    assert (ply["vertex"]["alpha"] == 255).all()
    assert np.array_equal(np.stack(ply["face"]["vertex_indices"]), written.faces)
    mesh = trimesh.load(path, process=False)
    assert np.array_equal(mesh.vertices, written.xyz.astype(float))


def test_label_meshes_carry_nyu40_ids_in_their_colours(home: Path) -> None:
    vertex = PlyData.read(home / f"{NAME}_vh_clean_2.labels.ply")["vertex"]
    assert vertex["label"].tolist() == [5, 5, 0, 0, 39, 39, 50, 50, 149, 149]
    rgb = np.stack([vertex[name] for name in ("red", "green", "blue")], 1)
    assert rgb[0].tolist() == [188, 189, 34]
    assert rgb[2].tolist() == rgb[6].tolist() == [0, 0, 0]


def test_segments_and_groups_agree_with_the_label_mesh_in_both_spellings(tmp_path: Path) -> None:
    nyu40 = {label.raw_category: label.nyu40 for label in OBJECTS.values()}
    for style in ("released", "compact"):
        for crlf in (False, True):
            write_scan(tmp_path / style / str(crlf), scan(NAME), style, crlf)
            home = tmp_path / style / str(crlf) / NAME
            text = (home / f"{NAME}_vh_clean_2.0.010000.segs.json").read_bytes()
            segs = json.loads(text)
            assert isinstance(segs["params"]["kThresh"], str if style == "released" else float)
            assert (b"\r\n" in text) == (crlf and style == "released")
            assert all(segs["segIndices"][i] == i for i in segs["segIndices"])
            groups = json.loads((home / f"{NAME}.aggregation.json").read_text())["segGroups"]
            label_of = {s: nyu40[g["label"]] for g in groups for s in g["segments"]}
            labels = PlyData.read(home / f"{NAME}_vh_clean_2.labels.ply")["vertex"]["label"]
            assert [label_of.get(s, 0) for s in segs["segIndices"]] == labels.tolist()
            assert any(g["label"].endswith(" ") for g in groups)


def test_the_release_spells_its_segments_in_lines(home: Path) -> None:
    lines = (home / f"{NAME}_vh_clean_2.0.010000.segs.json").read_text().split("\n")
    assert lines[:3] == ["{", '"params": {', '\t"kThresh": "0.0001",']
    assert lines[10:] == [
        "}",
        ",",
        f'"sceneId": "{NAME}",',
        '"segIndices": [0,0,2,2,4,4,6,6,8,8]',
        "}",
        "",
    ]


def test_the_text_file_has_sorted_lines_of_key_and_value(home: Path) -> None:
    text = (home / f"{NAME}.txt").read_text()
    lines = dict(line.split(" = ") for line in text.removesuffix("\n").split("\n"))
    assert list(lines) == sorted(lines)
    assert lines["axisAlignment"] == ("1.000000 " + "0.000000 " * 4) * 3 + "1.000000 "
    assert lines["numColorFrames"] == "5"
    assert lines["numIMUmeasurements"] == "11"
    assert lines["fx_depth"] == "14.500000"


def test_the_mesh_before_decimation_has_its_own_three_files(tmp_path: Path) -> None:
    write_scan(tmp_path, scan(NAME, hires=surface()))
    names = {path.name.removeprefix(NAME) for path in (tmp_path / NAME).iterdir()}
    assert names == {
        *(".sens", ".txt", ".aggregation.json", "_vh_clean_2.ply", "_vh_clean_2.labels.ply"),
        *("_vh_clean_2.0.010000.segs.json", "_vh_clean.ply", "_vh_clean.segs.json"),
        "_vh_clean.aggregation.json",
    }


def test_a_test_scan_has_three_files(tmp_path: Path) -> None:
    write_scan(tmp_path, scan(NAME, objects=None))
    names = {path.name.removeprefix(NAME) for path in (tmp_path / NAME).iterdir()}
    assert names == {".sens", ".txt", "_vh_clean_2.ply"}
    assert "sceneType" not in (tmp_path / NAME / f"{NAME}.txt").read_text()


def test_equal_input_gives_equal_bytes(home: Path, tmp_path: Path) -> None:
    write_scan(tmp_path / "again", scan(NAME))
    for path in home.iterdir():
        assert (tmp_path / "again" / NAME / path.name).read_bytes() == path.read_bytes()


def test_a_segment_of_two_objects_is_refused_and_annotation_mends_it(tmp_path: Path) -> None:
    segment = np.array([0, 0, 0, 0, 0, 5, 5, 7, 7, 7], np.int32)
    object_id = np.array([1, 1, 3, 2, 1, 4, 3, 0, 0, 2], np.int32)
    mixed = dataclasses.replace(surface(), segment=segment, object_id=object_id)
    with pytest.raises(ValueError, match="two objects"):
        write_scan(tmp_path, scan(NAME, mesh=mixed))
    annotated = annotate_segments(segment, object_id)
    assert annotated.tolist() == [1, 1, 1, 1, 1, 3, 3, 0, 0, 0]
    write_scan(tmp_path, scan(NAME, mesh=dataclasses.replace(mixed, object_id=annotated)))


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="rgb"):
        dataclasses.replace(surface(), rgb=surface().rgb[1:])
    with pytest.raises(ValueError, match="one of its vertices"):
        dataclasses.replace(surface(), segment=surface().segment[::-1].copy())


def test_a_whole_scan_passes_the_check_and_what_it_lacks_is_named(home: Path) -> None:
    raw = home.parent.parent
    check(raw, NAME, "train")
    (home / f"{NAME}_vh_clean_2.labels.ply").unlink()
    check(raw, NAME, "train", labels=False)
    with pytest.raises(BadInput, match=re.escape(f"lacks {NAME}_vh_clean_2.labels.ply; ")):
        check(raw, NAME, "val")
    (home / f"{NAME}.sens").unlink()
    (home / f"{NAME}_vh_clean_2.ply").unlink()
    with pytest.raises(BadInput, match=rf"{NAME}\.sens .*{NAME}_vh_clean_2\.ply"):
        check(raw, NAME, "train", labels=False)


def test_a_test_scan_needs_frames_and_mesh_only(tmp_path: Path) -> None:
    write_scan(tmp_path / "scans_test", scan(NAME, objects=None))
    check(tmp_path, NAME, "test")
    with pytest.raises(BadInput, match="segs"):
        check(tmp_path, NAME, "train")


def test_exported_folders_stand_in_for_an_absent_sens(home: Path) -> None:
    raw = home.parent.parent
    export(home, frames(), SENSOR)
    assert list(scan_files(raw, NAME)["frames"]) == ["sens"]
    (home / f"{NAME}.sens").unlink()
    check(raw, NAME, "train")
    exported = scan_files(raw, NAME)["frames"]
    assert len(exported) == 3 * 5 + 2
    assert exported["color/0.jpg"] == home / "color/0.jpg"


@pytest.mark.parametrize(
    "name", ["../scene0000_00", "scene0000_00/..", "scene0000_00\n", "scene00_00", "scene٣٣٣٣_00"]
)
def test_a_name_that_could_leave_the_folder_is_refused(home: Path, name: str) -> None:
    with pytest.raises(BadInput, match="not the name of a ScanNet scan"):
        scan_files(home.parent.parent, name)


def test_no_data_at_all_is_told_with_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is not a folder; set `raw` .*README"):
        check(tmp_path / "none", NAME, "train")
    with pytest.raises(BadInput, match=r"has no folder scans/scene9000_00 .*README"):
        check(tmp_path, NAME, "train")


def test_the_splits_are_the_official_ones() -> None:
    with open(MANIFEST / "scans.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    splits = defaultdict(set)
    numbers = defaultdict(list)
    for row in rows:
        space, number = re.fullmatch(r"scene(\d{4})_(\d\d)", row["scan"]).groups()
        splits[row["split"]].add(int(space))
        numbers[int(space)].append(int(number))
    counts = [sum(row["split"] == split for row in rows) for split in ("train", "val", "test")]
    assert counts == [1201, 312, 100]
    assert splits["train"] | splits["val"] == set(range(707))
    assert not splits["train"] & splits["val"]
    assert splits["test"] == set(range(707, 807))
    assert all(found == list(range(len(found))) for found in numbers.values())
    split_of = {row["scan"]: row["split"] for row in rows}
    assert split_of["scene0191_00"] == split_of["scene0000_00"] == "train"
    assert split_of["scene0568_00"] == split_of["scene0011_00"] == "val"


def test_the_twenty_classes_have_their_ids_colours_and_prompts() -> None:
    with open(MANIFEST / "classes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    ids = [int(row["nyu40"]) for row in rows]
    assert ids == [*range(1, 13), 14, 16, 24, 28, 33, 34, 36, 39]
    for row in rows:
        known = NYU40[int(row["nyu40"])]
        assert row["name"] == known.name
        assert row["color"] == "#{:02x}{:02x}{:02x}".format(*known.color)
        assert all(prompt.strip() == prompt != "" for prompt in row["prompts"].split("|"))
    prompts = [prompt for row in rows for prompt in row["prompts"].split("|")]
    assert len(prompts) == len(set(prompts))


def test_the_tiny_scan_holds_true_images() -> None:
    assert not np.isfinite(frames()[LOST].camera_to_world).any()
    with Image.open(io.BytesIO(frames()[0].color)) as image:
        assert image.size == SENSOR.color_size
