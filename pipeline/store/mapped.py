"""Rows of an uncompressed array of an entry, copied from a memory map to where they are wanted.

A zip entry holds such parts as they are in memory, so that a training which wants some rows of a
large array need not have all of it assembled first.
"""

import json
import mmap
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.store.entry import Damaged, read_errors

_LOCAL_HEADER = struct.Struct("<26x2H")  # of a zip's part: lengths of its name and extra field
_PIECE = 256  # rows copied at a time, which stay in a core's cache


@dataclass(frozen=True)
class _Layout:
    """Where the rows of an array are in its file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rows: int  # of a part; the last part has as many, some of no meaning
    offset: tuple[int | None, ...]  # byte at which each part begins; None: all of it is 0


class MappedArray:
    """An uncompressed array (N, d) of a zip entry, which is in chunks of rows."""

    def __init__(self, home: Path, name: str) -> None:
        """Raises `Damaged` where the entry has no such array, or other bytes than it was made with.

        All bytes of the array are read when a process first opens it, and then no more.
        """
        self._home, self._name = home, name
        with read_errors(home), home.open("rb") as file:
            layout = self._layout(file)
        self.shape, self.dtype = layout.shape, layout.dtype

    def read(self, row: NDArray[np.integer], out: NDArray[Any]) -> None:
        """Copy the rows with numbers `row` (n,), each in 0..N-1, to `out` (n, d), in their order.

        `out` has the type of the array. The file is open only meanwhile: a training has more scans
        than a process may open files. Raises `IndexError` for a row that is not there, and as the
        constructor does.
        """
        if not len(row):
            return
        if not 0 <= row.min() <= row.max() < self.shape[0]:
            raise IndexError(f"rows {row.min()} to {row.max()} of {self.shape[0]}")
        place = np.argsort(row, kind="stable")
        row = row[place]
        with read_errors(self._home), self._home.open("rb") as file:
            layout = self._layout(file)
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        size = layout.shape[1] * layout.dtype.itemsize  # rows as bytes need no alignment
        end = np.searchsorted(row, np.arange(1, len(layout.offset) + 1) * layout.rows).tolist()
        for number, (first, last) in enumerate(pairwise([0, *end])):
            offset = layout.offset[number]
            if offset is None:
                out[place[first:last]] = 0
                continue
            part = np.frombuffer(mapped, np.uint8, layout.rows * size, offset).reshape(-1, size)
            for begin in range(first, last, _PIECE):
                some = slice(begin, min(begin + _PIECE, last))
                found = part.take(row[some] - number * layout.rows, axis=0)
                out[place[some]] = found.view(layout.dtype)

    def _layout(self, file: BinaryIO) -> _Layout:
        found = os.fstat(file.fileno())
        return _read_layout(self._home, self._name, found.st_ino, found.st_ctime_ns, found.st_size)


@lru_cache(maxsize=1 << 14)
def _read_layout(home: Path, name: str, inode: int, changed: int, length: int) -> _Layout:
    """The layout of an array whose bytes have their checksums; the numbers say which file it is."""
    with zipfile.ZipFile(home) as pack, home.open("rb") as file:
        parts = {part.filename: part for part in pack.infolist()}
        if f"{name}/zarr.json" not in parts:
            raise Damaged(home, f"has no array {name!r}")
        found = json.loads(pack.read(f"{name}/zarr.json"))
        codecs = [codec["name"] for codec in found["codecs"]]
        if codecs != ["bytes"] or len(found["shape"]) != 2:
            raise Damaged(home, f"has an array {name!r} of shape {found['shape']} in {codecs}")
        rows, columns = found["chunk_grid"]["configuration"]["chunk_shape"]
        shape, dtype = tuple(found["shape"]), np.dtype(found["data_type"]).newbyteorder("<")
        if columns != max(1, shape[1]):
            raise Damaged(home, f"has an array {name!r} in chunks of {columns} columns")
        size = rows * columns * dtype.itemsize
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            names = [f"{name}/c/{number}/0" for number in range(-(-shape[0] // rows))]
            offset = tuple(  # zarr leaves out a part that is all 0
                _checked(home, parts[each], whole, size) if each in parts else None
                for each in names
            )
    return _Layout(shape, dtype, rows, offset)


def _checked(home: Path, part: zipfile.ZipInfo, whole: mmap.mmap, size: int) -> int:
    """The byte at which a part begins. Raises `Damaged` unless it is as it was packed."""
    name, extra = _LOCAL_HEADER.unpack_from(whole, part.header_offset)
    begin = part.header_offset + _LOCAL_HEADER.size + name + extra
    with memoryview(whole) as view:
        there = view[begin : begin + size]
        if part.compress_type != zipfile.ZIP_STORED or part.file_size != size != len(there):
            raise Damaged(home, f"has a part {part.filename!r} of {part.file_size} bytes")
        same = zlib.crc32(there) == part.CRC
        there.release()
    if not same:
        raise Damaged(home, f"has a checksum mismatch in its part {part.filename!r}")
    return begin
