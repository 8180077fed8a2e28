"""ScanNet's `.sens` stream, version 4, read by random access.

Layout: the header, then for each frame a 96-byte record and two blobs, then the IMU samples
(public ScanNet code, SensReader/c++/src/sensorData.h). Opening a file reads the records only, and
reading a frame only its blobs; a recording has several GB.

Colour and depth of the released files are registered (same camera centre), so the extrinsics
in the header, which are the identity there, are not applied.
"""

import io
import os
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
from pipeline.images import check_image_size
from pipeline.scan import Frame

VERSION = 4
RAW, PNG, JPEG = 0, 1, 2  # colour compression
RAW_USHORT, ZLIB_USHORT, OCCI_USHORT = 0, 1, 2  # depth compression
MAX_SIDE = 65535  # pixels; no JPEG is larger
RECORD = np.dtype(
    [
        ("camera_to_world", "<f4", (4, 4)),
        ("color_time", "<u8"),
        ("depth_time", "<u8"),
        ("color_bytes", "<u8"),
        ("depth_bytes", "<u8"),
    ]
)
IMU_BYTES = 128
DOWNLOAD = "download it again"


class SensFile:
    """The frames of one `.sens` (a `RawFrames`), with the poses in memory and the images on disk.

    Raises `BadInput` for a file that is cut off, is longer than its header says, has another
    version or an unsupported compression. The file is opened anew for each frame, so an object can
    be shared with forked or spawned workers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._opened() as file:
            self._read_header(file)
            self._read_records(file)
        self.frame_ids: Sequence[int] = range(len(self._records))

    def pose(self, frame_id: int) -> NDArray[np.float64]:
        """camera_to_world (4, 4) as in the file: all -inf where tracking was lost."""
        return self._records["camera_to_world"][frame_id].astype(np.float64)

    def read(self, frame_id: int) -> Frame:
        """One frame; its timestamp is that of the colour image. Raises `BadInput`."""
        record = self._records[frame_id]
        color_bytes, depth_bytes = int(record["color_bytes"]), int(record["depth_bytes"])
        where = f"{self.path} frame {frame_id}"
        with self._opened() as file:
            blobs = _pread(file, color_bytes + depth_bytes, int(self._offsets[frame_id]))
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

    def _read_header(self, file: BinaryIO) -> None:
        self._size = os.fstat(file.fileno()).st_size
        start = _pread(file, 12, 0)
        if len(start) < 12:
            raise BadInput(self.path, "is too short to be a .sens file", DOWNLOAD)
        version, name_bytes = struct.unpack("<IQ", start)
        if version != VERSION:
            raise BadInput(
                self.path, f"has .sens version {version}, not {VERSION}", "use the v2 release"
            )
        header = struct.Struct("<64f2i4IfQ")
        self._first_record = 12 + name_bytes + header.size
        if self._first_record > self._size:
            raise BadInput(self.path, "ends inside its header", DOWNLOAD)
        rest = _pread(file, name_bytes + header.size, 12)
        if len(rest) < name_bytes + header.size:
            raise BadInput(self.path, "ends inside its header", DOWNLOAD)
        self.sensor_name = rest[:name_bytes].decode("utf-8", "replace")
        fields = header.unpack_from(rest, name_bytes)
        self.color_intrinsics = np.array(fields[0:16]).reshape(4, 4)[:3, :3]
        self.depth_intrinsics = np.array(fields[32:48]).reshape(4, 4)[:3, :3]
        self.color_compression, self.depth_compression = fields[64:66]
        self.color_size: tuple[int, int] = (fields[66], fields[67])
        self.depth_size: tuple[int, int] = (fields[68], fields[69])
        self.depth_scale: float = fields[70]
        self._num_frames: int = fields[71]
        self._check_header()

    def _check_header(self) -> None:
        if self.color_compression not in (RAW, PNG, JPEG):
            raise BadInput(
                self.path,
                f"has the unknown colour compression {self.color_compression}",
                "export it with ScanNet's own reader and use the exported folders",
            )
        if self.depth_compression not in (RAW_USHORT, ZLIB_USHORT):
            kind = "occi" if self.depth_compression == OCCI_USHORT else "an unknown"
            raise BadInput(
                self.path,
                f"has depth in {kind} compression ({self.depth_compression}), not supported here",
                "export it with ScanNet's own reader and use the exported folders",
            )
        if not all(1 <= side <= MAX_SIDE for side in self.color_size + self.depth_size):
            raise BadInput(
                self.path,
                f"claims images of {self.color_size} and {self.depth_size} pixels",
                DOWNLOAD,
            )
        if not (np.isfinite(self.depth_scale) and self.depth_scale > 0):
            raise BadInput(self.path, f"has a depth shift of {self.depth_scale}", DOWNLOAD)
        for intrinsics in (self.color_intrinsics, self.depth_intrinsics):
            if not (np.isfinite(intrinsics).all() and intrinsics[0, 0] > 0 < intrinsics[1, 1]):
                raise BadInput(self.path, "has invalid intrinsics", DOWNLOAD)
        if self._num_frames == 0:
            raise BadInput(self.path, "contains no frame", DOWNLOAD)
        if self._num_frames * RECORD.itemsize > self._size - self._first_record:
            raise BadInput(
                self.path,
                f"claims {self._num_frames} frames, which do not fit into {self._size} bytes",
                DOWNLOAD,
            )

    def _read_records(self, file: BinaryIO) -> None:
        records, offsets, position = bytearray(), [], self._first_record
        for frame in range(self._num_frames):
            record = _pread(file, RECORD.itemsize, position)
            if len(record) < RECORD.itemsize:
                raise BadInput(
                    self.path,
                    f"is cut off before frame {frame} of {self._num_frames}",
                    DOWNLOAD,
                )
            color_bytes, depth_bytes = struct.unpack_from("<2Q", record, RECORD.itemsize - 16)
            offsets.append(position + RECORD.itemsize)
            position += RECORD.itemsize + color_bytes + depth_bytes
            if position > self._size:
                raise BadInput(
                    self.path,
                    f"is cut off or damaged in frame {frame} of {self._num_frames}",
                    DOWNLOAD,
                )
            records += record
        tail = _pread(file, 8, position)
        self.num_imu = int.from_bytes(tail, "little")
        if len(tail) < 8 or self._size - position != 8 + IMU_BYTES * self.num_imu:
            raise BadInput(self.path, "does not end where its last IMU sample ends", DOWNLOAD)
        self._records = np.frombuffer(bytes(records), RECORD)
        self._offsets = np.array(offsets, np.int64)

    def _color(self, blob: bytes, where: str) -> bytes:
        width, height = self.color_size
        if self.color_compression != RAW:
            check_image_size(blob, self.color_size, where, DOWNLOAD)
            return blob
        if len(blob) != 3 * width * height:
            raise BadInput(where, f"has a raw colour image of {len(blob)} bytes", DOWNLOAD)
        png = io.BytesIO()
        Image.frombytes("RGB", self.color_size, blob).save(png, "PNG", compress_level=1)
        return png.getvalue()

    def _depth(self, blob: memoryview | bytes, where: str) -> NDArray[np.uint16]:
        width, height = self.depth_size
        expected = 2 * width * height
        if self.depth_compression == ZLIB_USHORT:
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


def _pread(file: BinaryIO, count: int, offset: int) -> bytes:
    """`count` bytes at `offset`, fewer only at the end of the file."""
    parts = []
    while count and (part := os.pread(file.fileno(), count, offset)):
        parts.append(part)
        offset += len(part)
        count -= len(part)
    return b"".join(parts)
