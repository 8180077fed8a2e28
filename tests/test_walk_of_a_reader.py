"""The reader of CONTRIBUTING.md passes the suite of the readers, as the text asks."""

from pathlib import Path
from types import ModuleType

import pytest

from pipeline.scan import RawFrames
from tests.helpers import room_frames, walks
from tests.helpers.npz_scan import SCAN, npz_frames, write_npz
from tests.helpers.raw_reader_suite import FramesSuite, assert_is_cloud


@pytest.fixture(scope="module")
def npz(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The reader of the text."""
    return walks.imported(walks.read_walks()["reader"], tmp_path_factory.mktemp("reader"))


class TestNpzFrames(FramesSuite):
    """The test that the text asks for."""

    written = npz_frames()
    color_size, depth_size, depth_scale = room_frames.COLOR_SIZE, room_frames.DEPTH_SIZE, 1000.0
    color_intrinsics, depth_intrinsics = room_frames.K_COLOR, room_frames.K_DEPTH

    @pytest.fixture(autouse=True)
    def _reader(self, npz: ModuleType) -> None:
        self.npz = npz

    def write(self, folder: Path) -> None:
        write_npz(folder / SCAN, self.written)

    def open(self, folder: Path) -> RawFrames:
        self.npz.check(folder, SCAN, "train", labels=False)
        frames: RawFrames = self.npz.open_frames(self.npz.scan_files(folder, SCAN)["frames"])
        return frames

    def damage(self, folder: Path, frame_id: int) -> None:
        path = folder / SCAN / f"frame_{frame_id}.npz"
        path.write_bytes(b"\0" * 400 + path.read_bytes()[400:])

    def test_the_cloud_is_one(self, folder: Path) -> None:
        assert_is_cloud(self.npz.read_cloud(self.npz.scan_files(folder, SCAN)["cloud"]))

    def test_the_scan_is_recognised(self, folder: Path) -> None:
        assert self.npz.recognise(folder / SCAN) == (folder, SCAN)
        assert self.npz.recognise(folder) is None
