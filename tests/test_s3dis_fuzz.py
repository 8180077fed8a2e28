"""Damaged images, poses and angles of a room end in `BadInput` or in a valid result."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from test_scannet_fuzz import damaged, edits, little_memory

from pipeline.errors import BadInput
from pipeline.readers.s3dis.cloud import read_cloud
from pipeline.readers.s3dis.files import check, scan_files
from pipeline.readers.s3dis.frames import open_frames
from pipeline.readers.s3dis.labels import read_labels
from pipeline.simulate.s3dis_files import write_room
from pipeline.simulate.s3dis_text import ALIGNED
from tests.helpers.raw_reader_suite import assert_is_cloud, assert_is_labels
from tests.helpers.tiny_s3dis import CLASSES, files_of, noise_views, only_text, room

SCAN = "Area_1_office_1"
FUZZ = settings(
    max_examples=80,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_room(tmp_path, only_text(room(n_views=1, size=8), views=noise_views(2)), [ALIGNED])
    return tmp_path


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def sound_or_told() -> Iterator[None]:
    """Lets a `BadInput` pass if it is one sentence."""
    message = ""
    try:
        with little_memory():
            yield
        event("valid")
    except BadInput as error:
        message = str(error)
        event("refused")
    assert "\n" not in message
    assert len(message) < 700


@pytest.mark.parametrize("ending", ["_rgb.png", "_depth.png", "_pose.json"])
@FUZZ
@given(changes=edits)
def test_damaged_images_and_poses(raw: Path, ending: str, changes: list) -> None:
    path = files_of(raw, f"0_domain{ending}")[0]
    whole = path.read_bytes()
    path.write_bytes(damaged(whole, changes, 60))
    with sound_or_told():
        frames = open_frames(scan_files(raw, SCAN)["frames"])
        frame = frames.read(0)
        assert frame.depth.shape == frames.depth_size[::-1]
        assert frame.camera_to_world.shape == (4, 4)
    path.write_bytes(whole)


@pytest.mark.parametrize("name", ["Angle.txt", "floor_1.txt", "wall_1.txt"])
@FUZZ
@given(changes=edits)
def test_damaged_text(raw: Path, name: str, changes: list) -> None:
    path = files_of(raw, name)[0]
    whole = path.read_bytes()
    path.write_bytes(damaged(whole, changes, 120))
    with sound_or_told():
        check(raw, SCAN, "train")
        files = scan_files(raw, SCAN)
        cloud = read_cloud(files["cloud"])
        assert_is_cloud(cloud)
        assert_is_labels(read_labels(files["labels"], CLASSES), len(cloud.xyz), len(CLASSES))
    path.write_bytes(whole)


@pytest.mark.parametrize("cut", np.linspace(0, 0.9, 8).tolist())
@pytest.mark.parametrize("ending", ["_depth.png", "_pose.json"])
def test_a_truncated_file_is_refused(raw: Path, ending: str, cut: float) -> None:
    path = files_of(raw, f"0_domain{ending}")[0]
    data = path.read_bytes()
    path.write_bytes(data[: int(cut * len(data))])
    with pytest.raises(BadInput, match=path.name):
        open_frames(scan_files(raw, SCAN)["frames"]).read(0)
