"""A room of S3DIS: found where it lies in the downloads, its points, its classes, its faults."""

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BadInput
from pipeline.plan import manifest
from pipeline.readers.s3dis.cloud import read_cloud
from pipeline.readers.s3dis.files import check, scan_files
from pipeline.readers.s3dis.labels import read_labels
from pipeline.simulate.s3dis_files import SimulatedRoom, write_room
from pipeline.simulate.s3dis_text import ALIGNED, NOT_ALIGNED
from tests.helpers.raw_reader_suite import assert_is_cloud, assert_is_labels
from tests.helpers.tiny_s3dis import CLASSES, NAMES, OBJECTS, files_of, only_text, room

SCAN = "Area_1_office_1"
MANIFEST = Path("data_manifest/s3dis")
ROOMS = {"1": 44, "2": 40, "3": 23, "4": 49, "5": 68, "6": 48}
BOTH = pytest.mark.parametrize("release", [NOT_ALIGNED, ALIGNED])


@pytest.fixture(scope="module")
def tiny() -> SimulatedRoom:
    return room(angle=90, n_views=2, size=24)


@pytest.fixture
def raw(tmp_path: Path, tiny: SimulatedRoom) -> Path:
    write_room(tmp_path, tiny)
    return tmp_path


def in_order(tiny: SimulatedRoom) -> tuple[np.ndarray, np.ndarray]:
    """Points and object names in the order of the annotated files."""
    names = [f"{name}_{OBJECTS[: i + 1].count(name)}" for i, name in enumerate(OBJECTS)]
    seen = sorted(set(tiny.object_id.tolist()), key=lambda i: names[i])
    rank = np.array([seen.index(i) for i in tiny.object_id])
    order = np.argsort(rank, kind="stable")
    return tiny.xyz[order], np.array([OBJECTS[i] for i in tiny.object_id[order]])


@BOTH
@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_both_releases_give_the_cloud_in_the_frame_of_the_area(
    tmp_path: Path, release: str, angle: int
) -> None:
    tiny = room(angle=angle, n_views=2, size=24)
    write_room(tmp_path, only_text(tiny), [release])
    cloud = read_cloud(scan_files(tmp_path, SCAN)["cloud"])
    assert_is_cloud(cloud)
    assert np.abs(cloud.xyz - in_order(tiny)[0]).max() < 0.0011  # rounded to 1 mm, twice at most


@BOTH
def test_points_are_labelled_by_the_names_of_their_files(
    tmp_path: Path, release: str, tiny: SimulatedRoom
) -> None:
    write_room(tmp_path, tiny, [release])
    files = scan_files(tmp_path, SCAN)
    labels = read_labels(files["labels"], CLASSES)
    assert_is_labels(labels, len(read_cloud(files["cloud"]).xyz), len(CLASSES))
    _, names = in_order(tiny)
    expected = np.where(names == "stairs", "clutter", names)
    assert np.array(NAMES)[labels.label].tolist() == expected.tolist()
    assert len(np.unique(labels.instance)) == len(np.unique(tiny.object_id))
    assert (np.diff(labels.instance) >= 0).all()
    assert labels.instance[0] == 1


def test_without_clutter_among_the_classes_other_names_are_ignored(
    raw: Path, tiny: SimulatedRoom
) -> None:
    labels = read_labels(scan_files(raw, SCAN)["labels"], CLASSES[:-1])
    assert ((labels.label == -1) == (in_order(tiny)[1] == "stairs")).all()


def test_what_has_slipped_into_the_releases_is_not_read(raw: Path) -> None:
    lying = {path.name for path in files_of(raw, "") if path.is_file()}
    assert ".DS_Store" in lying
    assert any(name.endswith(" (1).txt") for name in lying)
    names = scan_files(raw, SCAN)["labels"]
    assert names
    assert all(re.fullmatch(r"Annotations/[a-z]+_[0-9]+\.txt", name) for name in names)


def test_a_misnamed_room_file_serves_where_nothing_is_annotated(
    raw: Path, tiny: SimulatedRoom
) -> None:
    folder = raw / NOT_ALIGNED / "Area_1/office_1"
    for path in (folder / "Annotations").iterdir():
        path.unlink()
    (folder / "office_1.txt").rename(folder / "of_fice_1.txt")
    files = scan_files(raw, SCAN)
    assert files["labels"] == {}
    cloud = read_cloud(files["cloud"])
    assert np.abs(cloud.xyz - tiny.xyz).max() < 0.0006
    check(raw, SCAN, "train", labels=False)
    with pytest.raises(BadInput, match=r"office_1: lacks Annotations/\*.txt"):
        check(raw, SCAN, "train")


def test_damaged_files_give_the_same_cloud_and_labels(tmp_path: Path, tiny: SimulatedRoom) -> None:
    for release in (NOT_ALIGNED, ALIGNED):
        read = []
        for damaged in (False, True):
            folder = tmp_path / release / str(damaged)
            write_room(folder, only_text(tiny), [release], damaged=damaged)
            files = scan_files(folder, SCAN)
            labels = read_labels(files["labels"], CLASSES)
            if damaged:
                with pytest.warns(UserWarning, match="is read as"):
                    cloud = read_cloud(files["cloud"])
            else:
                cloud = read_cloud(files["cloud"])
            read.append((cloud.xyz, cloud.rgb, cloud.segment, labels.label, labels.instance))
        assert all(map(np.array_equal, *read))


@pytest.mark.parametrize("place", [".", "2D-3D-S"])
def test_downloads_lie_in_the_root_or_one_folder_down(
    tmp_path: Path, tiny: SimulatedRoom, place: str
) -> None:
    write_room(tmp_path, tiny)
    if place == ".":
        (tmp_path / NOT_ALIGNED / "Area_1").rename(tmp_path / "Area_1")
    else:
        (tmp_path / place).mkdir()
        (tmp_path / "area_1").rename(tmp_path / place / "area_1")
    check(tmp_path, SCAN, "train")
    files = scan_files(tmp_path, SCAN)
    assert len(files["frames"]) == 6
    assert {name.split("/")[0] for name in files["frames"]} == {"area_1"}


def test_of_two_releases_the_one_in_the_frame_of_the_poses_is_read(
    tmp_path: Path, tiny: SimulatedRoom
) -> None:
    write_room(tmp_path, tiny, [ALIGNED, NOT_ALIGNED])
    cloud = scan_files(tmp_path, SCAN)["cloud"]
    assert all(NOT_ALIGNED in path.parts for path in cloud.values())
    assert "angles" not in cloud


def test_the_aligned_release_without_its_angles_is_told(
    tmp_path: Path, tiny: SimulatedRoom
) -> None:
    write_room(tmp_path, tiny, [ALIGNED])
    angles = files_of(tmp_path, "Area_1_alignmentAngle.txt")[0]
    text = angles.read_text()
    assert text.splitlines()[2:] == ["office_1 90"]
    angles.write_text(text.replace("90", "45"))
    with pytest.raises(BadInput, match="turns office_1 by '45' degrees"):
        read_cloud(scan_files(tmp_path, SCAN)["cloud"])
    angles.write_text(text.replace("office_1", "office_11"))
    with pytest.raises(BadInput, match="has no angle for office_1"):
        read_cloud(scan_files(tmp_path, SCAN)["cloud"])
    angles.unlink()
    with pytest.raises(BadInput, match=r"lacks ../Area_1_alignmentAngle.txt .*copy it there"):
        check(tmp_path, SCAN, "train")
    with pytest.raises(BadInput, match="there is no angle to turn it back"):
        read_cloud(scan_files(tmp_path, SCAN)["cloud"])


def test_the_angles_of_an_area_come_out_the_same_in_any_order(tmp_path: Path) -> None:
    rooms = [room(name=f"office_{i}", angle=90 * i, n_views=1, size=4) for i in range(4)]
    for order in (rooms, rooms[::-1]):
        for each in order:
            write_room(tmp_path / order[0].room, only_text(each))
    one, two = files_of(tmp_path, "Angle.txt")
    assert one.read_bytes() == two.read_bytes()
    assert one.read_text().splitlines()[2:] == [f"office_{i} {90 * i}" for i in range(4)]


def test_a_room_without_images_or_folder_or_name_is_told(raw: Path) -> None:
    for path in files_of(raw / "area_1", ".png"):
        path.unlink()
    for path in files_of(raw / "area_1", ".json"):
        path.unlink()
    with pytest.raises(BadInput, match=r"lacks its images camera_\*_office_1_frame_\*.png"):
        check(raw, SCAN, "train")
    with pytest.raises(BadInput, match="has no folder Area_1/office_2"):
        check(raw, "Area_1_office_2", "train")
    with pytest.raises(BadInput, match="is not the name of a room"):
        check(raw, "Area_1_../x_1", "train")
    with pytest.raises(BadInput, match="is not a folder"):
        check(raw / "none", SCAN, "train")


def test_an_area_that_is_listed_once_is_listed_again_when_it_changes(raw: Path) -> None:
    before = scan_files(raw, SCAN)["frames"]
    next(iter(before.values())).unlink()
    assert len(scan_files(raw, SCAN)["frames"]) == len(before) - 1


def test_the_list_has_all_rooms_with_area_5_held_out() -> None:
    rows = manifest.read_scans(MANIFEST / "scans.csv")
    assert len(rows) == 272
    for area, count in ROOMS.items():
        mine = [row for row in rows if row["area"] == area]
        assert len(mine) == count
        assert {row["split"] for row in mine} == {"val" if area == "5" else "train"}
        assert all(row["scan"].startswith(f"Area_{area}_") for row in mine)


def test_the_classes_are_those_of_the_dataset_in_their_order() -> None:
    classes = manifest.read_classes(MANIFEST / "classes.csv")
    assert [each["name"] for each in classes] == NAMES
    assert len({each["color"] for each in classes}) == 13
