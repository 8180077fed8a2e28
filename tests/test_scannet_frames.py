"""ScanNet's frames, from a `.sens` and from exported folders."""

import dataclasses
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import BadInput
from pipeline.readers.scannet.exported import exported_names
from pipeline.readers.scannet.frames import open_frames
from pipeline.readers.scannet.sens import SensFile
from pipeline.scan import Frame, RawFrames
from pipeline.simulate.scannet_files import IMU_SAMPLE, Sensor
from pipeline.simulate.scannet_sens import write_sens
from tests.helpers.raw_reader_suite import FramesSuite
from tests.helpers.tiny_scannet import SENSOR, encoded, export, frames

HEADER = 304 + len(SENSOR.name)
FRAMES_FIELD, DEPTH_WIDTH_FIELD = HEADER - 8, HEADER - 20


def sens(folder: Path, written: list[Frame] | None = None, **sensor: Any) -> Path:
    path = folder / "scene9000_00.sens"
    write_sens(path, dataclasses.replace(SENSOR, **sensor), written or frames())
    return path


def patched(path: Path, offset: int, new: bytes) -> Path:
    data = bytearray(path.read_bytes())
    data[offset : offset + len(new)] = new
    path.write_bytes(data)
    return path


class Tiny(FramesSuite):
    written = frames()
    color_size, depth_size, depth_scale = SENSOR.color_size, SENSOR.depth_size, 1000.0
    color_intrinsics, depth_intrinsics = SENSOR.color_intrinsics, SENSOR.depth_intrinsics


class TestSens(Tiny):
    sensor = SENSOR

    def write(self, folder: Path) -> None:
        write_sens(folder / "a.sens", self.sensor, self.written)

    def open(self, folder: Path) -> RawFrames:
        return open_frames({"sens": folder / "a.sens"})

    def damage(self, folder: Path, frame_id: int) -> None:
        position = HEADER
        data = (folder / "a.sens").read_bytes()
        for _ in range(frame_id):
            position += 96 + sum(struct.unpack_from("<2Q", data, position + 80))
        color_bytes, depth_bytes = struct.unpack_from("<2Q", data, position + 80)
        patched(folder / "a.sens", position + 96, bytes(min(color_bytes, 200)))
        patched(folder / "a.sens", position + 96 + color_bytes, bytes(min(depth_bytes, 200)))

    def test_timestamps_are_kept(self, folder: Path) -> None:
        reader = self.open(folder)
        assert [reader.read(i).timestamp for i in (0, 3)] == [0, 3000]


class TestSensOfPngs(TestSens):
    written = frames(kind="PNG")
    sensor = dataclasses.replace(SENSOR, color_compression="png")


class TestSensOfRawDepth(TestSens):
    sensor = dataclasses.replace(SENSOR, depth_compression="raw")


class TestExported(Tiny):
    padded = False

    def write(self, folder: Path) -> None:
        export(folder, self.written, SENSOR, self.padded)

    def open(self, folder: Path) -> RawFrames:
        return open_frames(exported_names(folder))

    def damage(self, folder: Path, frame_id: int) -> None:
        for kind in ("color", "depth"):
            name = f"{frame_id:06d}" if self.padded else str(frame_id)
            patched(next((folder / kind).glob(f"{name}.*")), 0, bytes(200))


class TestExportedInThe25kBundle(TestExported):
    padded = True


def test_raw_colour_is_returned_as_a_png_of_the_same_pixels(tmp_path: Path) -> None:
    written = frames(kind="raw")
    reader = SensFile(sens(tmp_path, written, color_compression="raw"))
    for frame in written:
        (tmp_path / "a.png").write_bytes(reader.read(frame.frame_id).color)
        with Image.open(tmp_path / "a.png") as image:
            assert image.format == "PNG"
            assert np.asarray(image).tobytes() == frame.color


@pytest.mark.parametrize("num_imu", [0, 1, 23])
def test_reading_and_rewriting_a_sens_gives_the_same_file(tmp_path: Path, num_imu: int) -> None:
    path, again = tmp_path / "a.sens", tmp_path / "b.sens"
    imu = np.zeros(num_imu, IMU_SAMPLE)
    write_sens(
        path, dataclasses.replace(SENSOR, name="StructureSensor (calibrated)"), frames(), imu
    )
    reader = SensFile(path)
    assert reader.num_imu == num_imu
    sensor = Sensor(
        color_size=reader.color_size,
        depth_size=reader.depth_size,
        color_intrinsics=reader.color_intrinsics,
        depth_intrinsics=reader.depth_intrinsics,
        depth_scale=reader.depth_scale,
        name=reader.sensor_name,
    )
    write_sens(again, sensor, (reader.read(i) for i in reader.frame_ids), imu)
    assert again.read_bytes() == path.read_bytes()


def test_opening_a_sens_reads_its_records_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pread, asked = os.pread, []

    def counted(fd: int, count: int, offset: int) -> bytes:
        asked.append(count)
        return pread(fd, count, offset)

    monkeypatch.setattr(os, "pread", counted)
    reader = SensFile(sens(tmp_path))
    assert sum(asked) == HEADER + 5 * 96 + 8
    asked.clear()
    one = reader.read(3)
    assert len(asked) == 1
    assert len(one.color) < asked[0] < len(one.color) + one.depth.nbytes + 100


def test_a_sens_of_the_wrong_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="version 3, not 4"):
        SensFile(patched(sens(tmp_path), 0, struct.pack("<I", 3)))


def test_a_header_that_claims_a_trillion_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="claims 1000000000000 frames"):
        SensFile(patched(sens(tmp_path), FRAMES_FIELD, struct.pack("<Q", 10**12)))


@pytest.mark.parametrize("claimed", [4, 6])
def test_a_header_with_a_wrong_number_of_frames_is_refused(tmp_path: Path, claimed: int) -> None:
    with pytest.raises(BadInput):
        SensFile(patched(sens(tmp_path), FRAMES_FIELD, struct.pack("<Q", claimed)))


@pytest.mark.parametrize("name_bytes", [10**18, 2**64 - 1])
def test_a_name_longer_than_the_file_is_refused(tmp_path: Path, name_bytes: int) -> None:
    with pytest.raises(BadInput, match="header"):
        SensFile(patched(sens(tmp_path), 4, struct.pack("<Q", name_bytes)))


def test_a_sens_truncated_anywhere_is_refused(tmp_path: Path) -> None:
    data = sens(tmp_path).read_bytes()
    for length in range(0, len(data), 37):
        (tmp_path / "cut.sens").write_bytes(data[:length])
        with pytest.raises(BadInput):
            SensFile(tmp_path / "cut.sens")


def test_bytes_after_the_last_imu_sample_are_refused(tmp_path: Path) -> None:
    path = sens(tmp_path)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BadInput, match="IMU"):
        SensFile(path)


def test_occi_depth_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="occi"):
        SensFile(patched(sens(tmp_path), HEADER - 32, struct.pack("<i", 2)))


@pytest.mark.parametrize("width", [SENSOR.depth_size[0] - 1, SENSOR.depth_size[0] + 1, 65535])
@pytest.mark.parametrize("compression", ["raw", "zlib"])
def test_depth_of_another_size_is_refused(tmp_path: Path, width: int, compression: str) -> None:
    path = sens(tmp_path, depth_compression=compression)
    patched(path, DEPTH_WIDTH_FIELD, struct.pack("<I", width))
    with pytest.raises(BadInput, match=r"frame 0: .*depth of another size|focal lengths.*65535"):
        SensFile(path).read(0)


def test_colour_of_another_size_is_refused(tmp_path: Path) -> None:
    written = frames()
    image = encoded(np.zeros((8, 8, 3), np.uint8), "JPEG")
    written[3] = dataclasses.replace(written[3], color=image)
    reader = SensFile(sens(tmp_path, written))
    with pytest.raises(BadInput, match="frame 3"):
        reader.read(3)


def test_a_nan_pose_is_returned_unchanged(tmp_path: Path) -> None:
    path = patched(sens(tmp_path), HEADER, struct.pack("<f", np.nan))
    pose = SensFile(path).pose(0)
    assert np.isnan(pose[0, 0])
    assert np.isfinite(pose.ravel()[1:]).all()


def test_a_sens_that_is_absent_or_removed_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        SensFile(tmp_path / "none.sens")
    path = sens(tmp_path)
    reader = SensFile(path)
    path.unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        reader.read(0)


def test_a_sens_truncated_after_opening_is_reported(tmp_path: Path) -> None:
    path = sens(tmp_path)
    reader = SensFile(path)
    path.write_bytes(path.read_bytes()[: HEADER + 200])
    with pytest.raises(BadInput, match=r"frame 4: is cut off"):
        reader.read(4)


def test_an_export_that_lacks_a_file_of_a_frame_is_refused(tmp_path: Path) -> None:
    export(tmp_path, frames(), SENSOR)
    (tmp_path / "depth/3.png").unlink()
    with pytest.raises(BadInput, match=r"3.jpg: has no depth file"):
        open_frames(exported_names(tmp_path))


def test_an_export_without_intrinsics_is_refused(tmp_path: Path) -> None:
    export(tmp_path, frames(), SENSOR)
    (tmp_path / "intrinsic/intrinsic_depth.txt").unlink()
    with pytest.raises(BadInput, match=r"intrinsic_depth.txt: is missing"):
        open_frames(exported_names(tmp_path))


def test_an_8_bit_depth_image_is_refused(tmp_path: Path) -> None:
    export(tmp_path, frames(), SENSOR)
    eight_bit = np.zeros(SENSOR.depth_size[::-1], np.uint8)
    (tmp_path / "depth/3.png").write_bytes(encoded(eight_bit, "PNG"))
    with pytest.raises(BadInput, match="16-bit"):
        open_frames(exported_names(tmp_path)).read(3)


def test_frames_sort_by_number_and_other_files_are_ignored(tmp_path: Path) -> None:
    export(tmp_path, frames(12), SENSOR)
    (tmp_path / "color/.DS_Store").touch()
    (tmp_path / "color/._0.jpg").touch()
    assert list(open_frames(exported_names(tmp_path)).frame_ids) == list(range(12))
