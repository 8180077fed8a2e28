"""Damaged files of any layout end in `BadInput`, one sentence, or in a valid result."""

import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from test_folder_cloud import columns, write_ply
from test_scannet_fuzz import damaged, edits, little_memory

from pipeline.errors import BadInput
from pipeline.readers.folder.files import scan_files
from pipeline.readers.folder.frames import open_frames
from pipeline.readers.ply import read_points
from tests.helpers import planes
from tests.helpers.room_frames import frames
from tests.helpers.tiny_folders import LAYOUTS, write_r3d

FUZZ = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
WRITERS = {name: layout.write for name, layout in LAYOUTS.items()} | {"r3d": write_r3d}


@pytest.mark.parametrize("name", WRITERS)
@FUZZ
@given(which=st.integers(0, 10**6), changes=edits)
def test_damaged_frames(
    tmp_path_factory: pytest.TempPathFactory, name: str, which: int, changes: list
) -> None:
    raw = tmp_path_factory.mktemp("raw")
    WRITERS[name](raw / "scan", frames(3))
    paths = sorted(path for path in (raw / "scan").rglob("*") if path.is_file())
    path = paths[which % len(paths)]
    path.write_bytes(damaged(path.read_bytes(), changes, 200))
    with little_memory(), np.errstate(all="ignore"):
        try:
            reader = open_frames(scan_files(raw, "scan")["frames"])
            for frame_id in reader.frame_ids:
                frame = reader.read(frame_id)
                assert frame.depth.shape == reader.depth_size[::-1]
                assert frame.depth.dtype == np.uint16
            event("valid")
        except BadInput:
            event("refused")


@pytest.mark.parametrize("text", [False, True])
@FUZZ
@given(changes=edits)
def test_damaged_clouds(
    tmp_path_factory: pytest.TempPathFactory, text: bool, changes: list
) -> None:
    path = tmp_path_factory.mktemp("ply") / "a.ply"
    mesh = planes.surface(planes.box_room(), 4.0)
    write_ply(path, columns("x y z", mesh.vertices), mesh.faces, text=text)
    path.write_bytes(damaged(path.read_bytes(), changes, 250))
    with little_memory(), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            xyz, rgb, normal = read_points(path)
            assert len(xyz) == len(rgb) > 0
            assert np.isfinite(xyz).all()
            assert normal is None or normal.shape == xyz.shape
            event("valid")
        except BadInput:
            event("refused")


def test_an_archive_that_would_fill_the_memory_is_refused_by_its_listing(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    for name in ("metadata", "rgbd/0.jpg"):
        with (
            zipfile.ZipFile(tmp_path / "scan/a.r3d", "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open(name, "w", force_zip64=True) as file,
        ):
            for _ in range(65):
                file.write(bytes(1 << 20))
        assert (tmp_path / "scan/a.r3d").stat().st_size < 1 << 20
        with pytest.raises(BadInput, match=r"in it would have 65 MB, which no recording has"):
            open_frames(scan_files(tmp_path, "scan")["frames"])
