"""What a file must look like before it is read as an entry of the store.

An entry is one regular file that says, inside, which entry it is. So a file that was truncated,
replaced by another entry, or packed to do harm is detected by its listing alone, before it is used;
zip itself checks each part as it is read, and `pipeline.upkeep.verify` reads every byte. Only what
`pipeline.store.arrays` writes is accepted: zarr knows formats and codecs that run code.
"""

import encodings.cp437  # noqa: F401 (zipfile asks for it when a name is read: too late for some)
import errno
import hashlib
import json
import math
import os
import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import BadInput

SCRATCH = ".partial-"  # folders in which entries are written, beside their final place
_PART = re.compile(r"(\w+/)?zarr\.json|\w+/c(/[0-9]+)+", re.ASCII)
_TYPE = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64)")
_CODECS = (["bytes"], ["bytes", "blosc"])
_MAX_RATIO = 4096  # of size in memory to size on disk; an array of constants has thousands
_SMALL = 64 << 20  # bytes; arrays up to this size are accepted however well they are compressed
_MALFORMED = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, EOFError),
    *(struct.error, zipfile.BadZipFile),
)  # all that the parsers of zip and json are known to raise for untrusted bytes
MISMATCH = "has a checksum mismatch: its bytes are not the recorded ones"


class Damaged(BadInput):
    """An entry that is not what its place in the store says."""

    def __init__(self, home: Path, what: str) -> None:
        self.home, self.what = home, f"this entry {what}"
        super().__init__(home, self.what, "move it away and run again to make it again")


def identity(path: Path) -> str:
    """<stage>/<key>/<file name> of the entry at `path`, or being written for that place."""
    folder = path.parent.parent if path.parent.name.startswith(SCRATCH) else path.parent
    return f"{folder.parent.name}/{folder.name}/{path.name}"


def present(home: Path) -> bool:
    """Whether there is a regular file at `home`: no folder, and no link to somewhere else."""
    try:
        return stat.S_ISREG(home.lstat().st_mode)
    except OSError:
        return False


def seal(path: Path, pack: zipfile.ZipFile) -> bytes:
    """The comment of the zip of the entry at `path`: its identity, and a digest of its parts."""
    return json.dumps({"entry": identity(path), "parts": _listing(pack)}).encode()


def listing(home: Path) -> str:
    """SHA-256 of the seal of a zip, which covers the checksums of all its parts."""
    with read_errors(home), zipfile.ZipFile(home) as pack:
        return hashlib.sha256(pack.comment).hexdigest()


def check(home: Path) -> None:
    """Raise `Damaged` unless the entry's listing is sound and says that it is this entry.

    Raises a plain `BadInput` where the machine cannot read it just now: it may well be sound.
    """
    if not present(home):
        raise Damaged(home, "is not a file" if os.path.lexists(home) else "is missing")
    with read_errors(home):
        if home.suffix == ".zip":
            found = _identity_in_zip(home)
        elif home.suffix == ".safetensors":
            found = _identity_in_safetensors(home)
        elif os.path.getsize(home) > _SMALL:
            raise Damaged(home, f"has more than {_SMALL} bytes")
        else:
            found = json.loads(home.read_text(encoding="utf-8"))["entry"]
    if found != identity(home):
        raise Damaged(home, f"says that it is {found!r}")


def check_bytes(home: Path) -> None:
    """Raise `Damaged` where a part of the entry does not have the checksum it was packed with.

    Raises as `check` does, too.
    """
    check(home)
    if home.suffix != ".zip":
        return
    with read_errors(home), zipfile.ZipFile(home) as pack:
        bad = pack.testzip()
    if bad:
        raise Damaged(home, f"has a checksum mismatch in its part {bad!r}")


@contextmanager
def read_errors(home: Path) -> Iterator[None]:
    """Turn what parsers raise into `Damaged`, and what the machine refuses into `BadInput`."""
    try:
        yield
    except _MALFORMED as error:
        raise Damaged(home, f"cannot be read ({error})") from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # it points to a position before the file's start
            raise Damaged(home, f"cannot be read ({error})") from error
        what = f"cannot be read ({error.strerror})"
        raise BadInput(home, what, "fix the cause and retry") from error


def _identity_in_zip(home: Path) -> str:
    size = os.path.getsize(home)
    with zipfile.ZipFile(home) as pack:
        names = pack.namelist()
        if len(set(names)) != len(names):
            raise Damaged(home, "has a duplicate part")
        if min((part.header_offset for part in pack.infolist()), default=0) != 0:
            raise Damaged(home, "lacks bytes, or has too many")
        if sum(part.file_size for part in pack.infolist()) > size:
            raise Damaged(home, "claims more bytes than it has")
        for part in pack.infolist():
            if not _PART.fullmatch(part.filename):
                raise Damaged(home, f"has a part {part.filename!r}, which is not allowed")
            if part.compress_type != zipfile.ZIP_STORED or part.flag_bits:
                raise Damaged(home, f"has a compressed or encrypted part {part.filename!r}")
        seal = json.loads(pack.comment)
        if seal["parts"] != _listing(pack):
            raise Damaged(home, "has other parts than it was made with")
        for name in names:
            if name.endswith("zarr.json"):
                _check_metadata(home, name, json.loads(pack.read(name)), size)
    return seal["entry"]


def _listing(pack: zipfile.ZipFile) -> str:
    """SHA-256 of the names, checksums and sizes of all parts, which zip itself does not check."""
    parts = [(part.filename, part.CRC, part.file_size) for part in pack.infolist()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _check_metadata(home: Path, name: str, found: dict, size: int) -> None:
    """Refuse what `pipeline.store.arrays` never writes, and arrays far larger than their file."""
    if name == "zarr.json":  # other keys could override the metadata of the arrays
        if found.keys() != {"attributes", "zarr_format", "node_type"}:
            raise Damaged(home, f"has group metadata {sorted(found)}, which is not allowed")
        return
    shape, chunk = found["shape"], found["chunk_grid"]["configuration"]["chunk_shape"]
    kind, codecs = found["data_type"], [codec["name"] for codec in found["codecs"]]
    if not _TYPE.fullmatch(kind) or codecs not in _CODECS or found["storage_transformers"]:
        raise Damaged(home, f"has an array {name!r} of {kind!r} in {codecs}, which is not allowed")
    bits = re.search(r"[0-9]+$", kind)
    claimed = max(math.prod(shape), math.prod(chunk)) * (int(bits[0]) // 8 if bits else 1)
    if not all(type(n) is int and n >= 0 for n in (*shape, *chunk)):
        raise Damaged(home, f"has an array {name!r} of shape {shape}")
    if claimed > max(_SMALL, _MAX_RATIO * size):
        raise Damaged(home, f"claims {claimed} bytes for {name!r} in a file of {size}")


def _identity_in_safetensors(home: Path) -> str:
    size = os.path.getsize(home)
    with home.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(size, _SMALL):
            raise Damaged(home, "is truncated")
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__")
    if 8 + length + max((part["data_offsets"][1] for part in header.values()), default=0) != size:
        raise Damaged(home, "is truncated")
    return metadata["entry"]
