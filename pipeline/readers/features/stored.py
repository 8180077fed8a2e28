"""Arrays in files of other people, opened only if they take no more memory than they may.

What a small file unpacks to is bounded by `most_bytes`: more is no array of features but a damaged
header, or a file that is to fill the memory.
"""

import math
import zipfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.foreign import parse_json

_CODECS = {"blosc", "bytes", "crc32c", "gzip", "zstd"}  # others may run code
_TIMES, _BASE = 10, 64 << 20
_MOST_META = 1 << 20  # bytes of zarr.json
_ZSTD = b"\x28\xb5\x2f\xfd"


def most_bytes(stored: int) -> int:
    """What files of `stored` bytes may unpack to: ten times as many, and 64 MiB."""
    return _TIMES * stored + _BASE


def open_npy(path: Path) -> NDArray[Any]:
    """An array in a file of NumPy, not read yet. Raises many kinds of exceptions."""
    with path.open("rb") as file:  # else numpy would read archives and pickles by this name
        if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
            raise ValueError("it is not an array of numpy")
    return np.load(path, mmap_mode="r", allow_pickle=False)


def read_npz(path: Path, names: tuple[str, ...]) -> list[NDArray[Any]]:
    """Some arrays of an archive of NumPy. Raises many kinds of exceptions."""
    with zipfile.ZipFile(path) as archive:
        total = sum(part.file_size for part in archive.infolist())
        _require_bound(total, path.stat().st_size)
    with np.load(path, allow_pickle=False) as file:
        return [file[name] for name in names]


def open_zarr(path: Path) -> zarr.Array:
    """An array of zarr's format 3 of which every chunk is there, not read yet.

    zarr takes a chunk without a file for zeros. Raises many kinds of exceptions.
    """
    described = path / "zarr.json"
    if not described.exists():
        raise ValueError("it has no zarr.json, as arrays of zarr's format 3 have")
    if described.stat().st_size > _MOST_META:
        raise ValueError(f"its zarr.json has {described.stat().st_size:,} bytes")
    meta = parse_json(described.read_text(encoding="utf-8"))
    names = [codec["name"] for codec in meta["codecs"]]
    if meta["zarr_format"] != 3 or meta["node_type"] != "array" or not set(names) <= _CODECS:
        raise ValueError(f"its codecs are {', '.join(sorted(names))}")
    found = zarr.open_array(path, mode="r")
    files = [file for file in path.rglob("*") if file.is_file()]
    stored = sum(file.stat().st_size for file in files)
    chunk = math.prod(found.chunks) * found.dtype.itemsize
    _require_bound(max(found.nbytes, chunk), stored)
    count = math.prod(
        -(-size // each) for size, each in zip(found.shape, found.chunks, strict=True)
    )
    if count > len(files) - 1:
        what = f"{count - len(files) + 1} of its {count} chunks have no file"
        raise ValueError(f"{what}, or are zeros: write them with write_empty_chunks")
    for file in _chunks(found, path):
        with file.open("rb") as opened:
            first = opened.read(18)
        size = file.stat().st_size
        if "blosc" in names and int.from_bytes(first[12:16], "little") > size:
            raise ValueError(f"the chunk {file.relative_to(path)} is cut off")
        _require_bound(_claimed(names, first), size + chunk // _TIMES)
    return found


def _chunks(found: zarr.Array, path: Path) -> Iterator[Path]:
    """The files of all chunks; raises `FileNotFoundError` for the first that is missing."""
    steps = [range(-(-n // each)) for n, each in zip(found.shape, found.chunks, strict=True)]
    for place in product(*steps):
        yield path / found.metadata.encode_chunk_key(place)


def _claimed(names: list[str], first: bytes) -> int:
    """The bytes that a chunk unpacks to, by its header (18 bytes); 0 where that does not say."""
    if "blosc" in names:
        return int.from_bytes(first[4:8], "little")
    if "zstd" in names and first[:4] == _ZSTD:
        flags = first[4]
        single, dictionary = bool(flags & 32), (0, 1, 2, 4)[flags & 3]
        begin, size = 5 + (not single) + dictionary, (single, 2, 4, 8)[flags >> 6]
        return int.from_bytes(first[begin : begin + size], "little")
    return 0


def _require_bound(unpacked: int, stored: int) -> None:
    if unpacked > most_bytes(stored):
        raise ValueError(f"{stored:,} bytes would unpack to {unpacked:,}")
