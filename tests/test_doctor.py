"""The doctor reports what is wrong with raw scans, and nothing else."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from pipeline.cli.main import main
from pipeline.doctor import checks, views, whole
from pipeline.doctor.scans import Scan, of_folder
from pipeline.readers.folder.files import scan_files
from pipeline.readers.folder.frames import open_frames
from pipeline.scan import Cloud, RawFrames
from pipeline.simulate.s3dis_files import write_room
from tests.helpers import planes, planted, room_frames, tiny_s3dis
from tests.helpers.misread_frames import FAULTS, Misread, Part
from tests.helpers.tiny_folders import write_own

FRAMES = 30
SIZE = 64, 48
MESH = planes.surface(planes.box_room(), 0.05)
RGB = np.array([thing.rgb for thing in planes.box_room().things], np.uint8)[MESH.thing]
CLOUD = Cloud(
    MESH.vertices.astype(np.float32),
    RGB,
    np.zeros((len(RGB), 3), np.float32),
    np.full(len(RGB), -1, np.int32),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a scan in the project's own layout, with nothing wrong about it."""
    k, home = planes.color_intrinsics(SIZE), tmp_path_factory.mktemp("doctor") / "room"
    write_own(home, room_frames.frames(FRAMES, SIZE, SIZE, k, whole=True))
    np.savetxt(home / "intrinsics.txt", k)
    return home


@pytest.fixture(scope="module")
def raw(folder: Path) -> RawFrames:
    return open_frames(scan_files(folder.parent, folder.name)["frames"])


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments])


def findings(raw: RawFrames, cloud: Cloud | None) -> list[str]:
    """The sentences about a recording."""
    found = checks.examine(raw, views.take(raw, 12), cloud)
    return [*map(str, found.findings), *found.unmeasured]


@pytest.mark.parametrize("cloud", [None, CLOUD], ids=["by its frames", "by its cloud"])
def test_nothing_is_reported_about_a_correct_scan(raw: RawFrames, cloud: Cloud | None) -> None:
    assert findings(raw, cloud) == []


@pytest.mark.parametrize("cloud", [None, CLOUD], ids=["by its frames", "by its cloud"])
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_reported_and_no_other(
    raw: RawFrames, fault: str, cloud: Cloud | None
) -> None:
    how, words = FAULTS[fault]
    sentences = findings(Misread(raw, **how), cloud)
    assert any(words in sentence for sentence in sentences)
    assert len(sentences) == (2 if "intrinsics" in fault else 1)  # of colour and of depth


def test_extent_and_coverage_are_those_of_the_whole_recording(raw: RawFrames) -> None:
    room, cloud = whole.survey(raw, None), whole.survey(raw, CLOUD)
    assert np.allclose(room.extent[:2], (4, 3), atol=0.1)
    assert (cloud.frames, cloud.count) == (FRAMES, FRAMES)
    few = whole.survey(Part(raw, list(raw.frame_ids)[:3]), CLOUD)
    assert (few.seen or 0) + 0.2 < (cloud.seen or 0) <= 1


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"depth_scale": 1 / 0.512}, "depth looks"),
        ({"pose": lambda pose: planted.scaled(pose, 1 / 0.512)}, "the cameras' positions look"),
    ],
)
def test_points_tell_which_of_two_scales_is_wrong(
    raw: RawFrames, how: dict[str, Any], words: str
) -> None:
    (sentence,) = findings(Misread(raw, **how), CLOUD)
    assert sentence.startswith(words)
    assert "cannot tell" not in sentence


def test_images_and_points_of_different_rooms_are_reported(raw: RawFrames) -> None:
    moved = replace(CLOUD, xyz=CLOUD.xyz + np.array([0.4, 0.3, 0.2], np.float32))
    (sentence,) = findings(raw, moved)
    assert "its images and its points disagree by" in sentence


def test_a_disagreement_that_nothing_explains_is_reported_with_its_bound(raw: RawFrames) -> None:
    def astray(pose: Any) -> Any:  # by half a metre, each into another direction
        off = np.zeros((4, 4))
        off[:3, 3] = 0.5 * np.sin([70 * pose[0, 3], 80 * pose[1, 3], 90 * pose[0, 3]])
        return pose + off

    (sentence,) = findings(Misread(raw, astray), None)
    assert re.search(r"frames disagree by \d+\.\d cm about what they see, right ones by ", sentence)


def test_what_could_not_be_measured_is_said(tmp_path: Path) -> None:
    k, home = planes.color_intrinsics(SIZE), tmp_path / "apart"
    few = room_frames.frames(30, SIZE, SIZE, k, whole=True)[::15]
    turned = [np.asarray(planes.look_at((2, 1.5, 1.2), (x, 1.4, 1))) for x in (4, 0)]
    turned[0][0, 3] += 0.1
    write_own(home, [replace(f, camera_to_world=p) for f, p in zip(few, turned, strict=True)])
    np.savetxt(home / "intrinsics.txt", k)
    done = doctor("--path", str(home), "--out", str(tmp_path / "index.html"))
    assert done.exit_code == 0
    assert "could not be checked by the images: no two examined frames see" in done.stdout
    assert "nothing wrong found" not in done.stdout


def test_invalid_poses_are_counted(raw: RawFrames) -> None:
    def lost(pose: Any) -> Any:
        return pose if pose[0, 3] > 3.2 else np.full((4, 4), np.nan)

    poses = [raw.pose(frame_id) for frame_id in raw.frame_ids]
    count = sum(pose[0, 3] <= 3.2 for pose in poses)
    assert FRAMES / 2 < count < FRAMES
    assert any(
        f"{count} of {FRAMES} poses are invalid" in s for s in findings(Misread(raw, lost), None)
    )


def test_the_page_shows_it_without_any_other_file(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page" / "index.html"
    done = doctor("--path", str(folder), "--out", str(page))
    assert done.exit_code == 0
    assert "room: nothing wrong found" in done.stdout
    text = page.read_text()
    assert text.count('src="data:image/png;base64,') == 3
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert "Nothing wrong was found" in text


def test_what_is_wrong_in_the_files_is_printed_and_on_the_page(
    folder: Path, tmp_path: Path
) -> None:
    home, page = tmp_path / "inverted", tmp_path / "index.html"
    frames = room_frames.frames(FRAMES, SIZE, SIZE, planes.color_intrinsics(SIZE), whole=True)
    inverses = [np.asarray(np.linalg.inv(f.camera_to_world), np.float64) for f in frames]
    pairs = zip(frames, inverses, strict=True)
    write_own(home, [replace(f, camera_to_world=pose) for f, pose in pairs])
    np.savetxt(home / "intrinsics.txt", planes.color_intrinsics(SIZE))
    done = doctor("--path", str(home), "--out", str(page))
    assert done.exit_code == 1
    words = "the poses look like world-to-camera matrices"
    assert words in done.stdout
    assert words in page.read_text()


def test_a_damaged_image_is_reported_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    home, page = tmp_path / "damaged", tmp_path / "index.html"
    write_own(home, room_frames.frames(FRAMES, SIZE, SIZE, whole=True))
    for path in (home / "color").iterdir():
        path.write_bytes(path.read_bytes()[:200])
    done = doctor("--path", str(home), "--out", str(page))
    assert done.exit_code == 1
    assert done.stdout.startswith("damaged: ")
    assert "Traceback" not in done.output


def test_without_raw_files_one_sentence_says_how_to_get_them() -> None:
    done = doctor("scannet")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "data_manifest/scannet/README.md" in done.stderr


@pytest.mark.parametrize("beside", [False, True], ids=["a level above", "beside its area"])
def test_a_room_of_s3dis_is_found_with_its_images_by_its_folder(
    tmp_path: Path, beside: bool
) -> None:
    write_room(tmp_path, tiny_s3dis.room())
    (area,) = tmp_path.glob("*/Area_1")
    area = area.rename(tmp_path / "Area_1") if beside else area
    scan = of_folder(area / "office_1")
    assert scan == Scan("Area_1_office_1", "s3dis", tmp_path)
    assert scan.open()[1] is not None


@pytest.mark.parametrize("arguments", [(), ("scannet", "--path", "x"), ("scannet", "--frames=0")])
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    done = doctor(*arguments)
    assert done.exit_code == 2
    assert "Usage:" in done.stderr
