"""ScanNet's `.sens` stream, version 4, read by random access.

Layout: the header, then for each frame a 96-byte record and two blobs, then the IMU samples
(public ScanNet code, SensReader/c++/src/sensorData.h). Opening a file reads the records only, and
reading a frame only its blobs; a recording has several GB.

Colour and depth of the released files are registered (same camera centre), so the extrinsics
in the header, which are the identity there, are not applied.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import BadInput
from pipeline.images import upright
from pipeline.readers.scannet.sens_header import (
    DOWNLOAD,
    RAW,
    RECORD,
    ZLIB_USHORT,
    pread,
    read_header,
)
from pipeline.scan import Frame

IMU_BYTES = 128


class SensFile:
    """The frames of one `.sens` (a `RawFrames`), with the poses in memory and the images on disk.

    Raises `BadInput` for a file that is cut off, is longer than its header says, has another
    version or an unsupported compression. The file is opened again for each frame, so an object can
    be shared with forked or spawned workers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._opened() as file:
            self._header = read_header(file, path)
            self._read_records(file)
        self.frame_ids: Sequence[int] = range(len(self._records))
        self.sensor_name = self._header.sensor_name
        self.color_size = self._header.color_size
        self.depth_size = self._header.depth_size
        self.color_intrinsics = self._header.color_intrinsics
        self.depth_intrinsics = self._header.depth_intrinsics
        self.depth_scale = self._header.depth_scale

    def pose(self, frame_id: int) -> NDArray[np.float64]:
        """camera_to_world (4, 4) as in the file: all -inf where tracking was lost."""
        return self._records["camera_to_world"][frame_id].astype(np.float64)

    def read(self, frame_id: int) -> Frame:
        """One frame; its timestamp is that of the colour image. Raises `BadInput`."""
        record = self._records[frame_id]
        color_bytes, depth_bytes = int(record["color_bytes"]), int(record["depth_bytes"])
        where = f"{self.path} frame {frame_id}"
        with self._opened() as file:
            blobs = pread(file, color_bytes + depth_bytes, int(self._offsets[frame_id]))
        if len(blobs) != color_bytes + depth_bytes:
            raise BadInput(where, "is cut off", DOWNLOAD)
        return Frame(
            frame_id=frame_id,
            timestamp=int(record["color_time"]),
            color=self._color(blobs[:color_bytes], where),
            depth=self._depth(memoryview(blobs)[color_bytes:], where),
            camera_to_world=self.pose(frame_id),
        )

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        try:
            with open(self.path, "rb", buffering=0) as file:
                yield file
        except OSError as error:
            raise BadInput(self.path, f"cannot be read ({error.strerror})", DOWNLOAD) from None

    def _read_records(self, file: BinaryIO) -> None:
        records, offsets, position = bytearray(), [], self._header.first_record
        for frame in range(self._header.num_frames):
            record = pread(file, RECORD.itemsize, position)
            if len(record) < RECORD.itemsize:
                raise BadInput(
                    self.path,
                    f"is cut off before frame {frame} of {self._header.num_frames}",
                    DOWNLOAD,
                )
            color_bytes, depth_bytes = struct.unpack_from("<2Q", record, RECORD.itemsize - 16)
            offsets.append(position + RECORD.itemsize)
            position += RECORD.itemsize + color_bytes + depth_bytes
            if position > self._header.file_size:
                raise BadInput(
                    self.path,
                    f"is cut off or damaged in frame {frame} of {self._header.num_frames}",
                    DOWNLOAD,
                )
            records += record
        tail = pread(file, 8, position)
        self.num_imu = int.from_bytes(tail, "little")
        if len(tail) < 8 or self._header.file_size - position != 8 + IMU_BYTES * self.num_imu:
            raise BadInput(self.path, "does not end where its last IMU sample ends", DOWNLOAD)
        self._records = np.frombuffer(bytes(records), RECORD)
        self._offsets = np.array(offsets, np.int64)

    def _color(self, blob: bytes, where: str) -> bytes:
        width, height = self.color_size
        if self._header.color_compression != RAW:
            return upright(blob, self.color_size, where, DOWNLOAD)
        if len(blob) != 3 * width * height:
            raise BadInput(where, f"has a raw colour image of {len(blob)} bytes", DOWNLOAD)
        png = io.BytesIO()
        Image.frombytes("RGB", self.color_size, blob).save(png, "PNG", compress_level=1)
        return png.getvalue()

    def _depth(self, blob: memoryview | bytes, where: str) -> NDArray[np.uint16]:
        width, height = self.depth_size
        expected = 2 * width * height
        if self._header.depth_compression == ZLIB_USHORT:
            inflate = zlib.decompressobj()
            try:  # one extra byte reveals a longer image without inflating all of it
                blob = inflate.decompress(blob, expected + 1)
            except zlib.error:
                raise BadInput(where, "has a damaged depth image", DOWNLOAD) from None
            if len(blob) <= expected and not inflate.eof:
                raise BadInput(where, "has a depth image that is cut off", DOWNLOAD)
        if len(blob) != expected:
            raise BadInput(where, f"has depth of another size than {width} x {height}", DOWNLOAD)
        return np.frombuffer(blob, "<u2").reshape(height, width).astype(np.uint16, copy=False)
