"""The header of a `.sens` file: sensor, sizes, compressions and the number of frames."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.geometry.poses import require_intrinsics

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
DOWNLOAD = "download it again"

_EXPORT = "export it with ScanNet's own reader and use the exported folders"
_START, _REST = struct.Struct("<IQ"), struct.Struct("<64f2i4IfQ")


@dataclass(frozen=True)
class Header:
    """The content of the header, checked."""

    sensor_name: str
    color_size: tuple[int, int]  # (width, height)
    depth_size: tuple[int, int]
    color_intrinsics: NDArray[np.float64]  # (3, 3)
    depth_intrinsics: NDArray[np.float64]  # (3, 3)
    color_compression: int
    depth_compression: int
    depth_scale: float  # metres = depth / depth_scale
    num_frames: int
    first_record: int  # its position in the file
    file_size: int  # bytes


def read_header(file: BinaryIO, path: Path) -> Header:
    """The header of an open `.sens` file.

    Raises `BadInput` where it is cut off, has another version or an unsupported compression, or
    claims what cannot be.
    """
    size = os.fstat(file.fileno()).st_size
    start = pread(file, _START.size, 0)
    if len(start) < _START.size:
        raise BadInput(path, "is too short to be a .sens file", DOWNLOAD)
    version, name_bytes = _START.unpack(start)
    if version != VERSION:
        raise BadInput(path, f"has .sens version {version}, not {VERSION}", "use the v2 release")
    first_record = _START.size + name_bytes + _REST.size
    if first_record > size:
        raise BadInput(path, "ends inside its header", DOWNLOAD)
    rest = pread(file, name_bytes + _REST.size, _START.size)
    if len(rest) < name_bytes + _REST.size:
        raise BadInput(path, "ends inside its header", DOWNLOAD)
    fields = _REST.unpack_from(rest, name_bytes)
    header = Header(
        sensor_name=rest[:name_bytes].decode("utf-8", "replace"),
        color_size=(fields[66], fields[67]),
        depth_size=(fields[68], fields[69]),
        color_intrinsics=np.array(fields[0:16]).reshape(4, 4)[:3, :3],
        depth_intrinsics=np.array(fields[32:48]).reshape(4, 4)[:3, :3],
        color_compression=fields[64],
        depth_compression=fields[65],
        depth_scale=fields[70],
        num_frames=fields[71],
        first_record=first_record,
        file_size=size,
    )
    _check(header, path)
    return header


def _check(header: Header, path: Path) -> None:
    color, depth = header.color_compression, header.depth_compression
    if color not in (RAW, PNG, JPEG):
        raise BadInput(path, f"has the unknown colour compression {color}", _EXPORT)
    if depth not in (RAW_USHORT, ZLIB_USHORT):
        kind = "occi" if depth == OCCI_USHORT else "an unknown"
        what = f"has depth in {kind} compression ({depth}), which is not supported"
        raise BadInput(path, what, _EXPORT)
    if not all(1 <= side <= MAX_SIDE for side in header.color_size + header.depth_size):
        what = f"claims images of {header.color_size} and {header.depth_size} pixels"
        raise BadInput(path, what, DOWNLOAD)
    if not (np.isfinite(header.depth_scale) and header.depth_scale > 0):
        raise BadInput(path, f"has a depth shift of {header.depth_scale}", DOWNLOAD)
    require_intrinsics(header.color_intrinsics, path, DOWNLOAD, header.color_size)
    require_intrinsics(header.depth_intrinsics, path, DOWNLOAD, header.depth_size)
    if header.num_frames == 0:
        raise BadInput(path, "contains no frame", DOWNLOAD)
    if header.num_frames * RECORD.itemsize > header.file_size - header.first_record:
        what = f"claims {header.num_frames} frames, which do not fit into {header.file_size} bytes"
        raise BadInput(path, what, DOWNLOAD)


def pread(file: BinaryIO, count: int, offset: int) -> bytes:
    """`count` bytes at `offset`, fewer only at the end of the file."""
    parts = []
    while count and (part := os.pread(file.fileno(), count, offset)):
        parts.append(part)
        offset += len(part)
        count -= len(part)
    return b"".join(parts)
