"""What an entry of the store must look like before anything in it is believed.

An entry is one regular file that says, inside, which entry it is. So a file that was cut short,
replaced by another's, or packed to do harm is found out by its listing alone, before it is used;
zip itself checks each part as it is read, and `pipeline.verify` reads every byte.
"""

import json
import math
import os
import re
import stat
import struct
import zipfile
from pathlib import Path

from pipeline.errors import BadInput

SCRATCH = ".partial-"  # folders in which entries are written, beside their final place
_PART = re.compile(r"[\w.-]+(/[\w.-]+)*")
_MOST_TIMES = 4096  # an array of constants takes thousands of times its size on disk
_SMALL = 64 << 20  # bytes; arrays up to this size are let through however well they are packed


class Damaged(BadInput):
    """An entry that is not what its place in the store says."""

    def __init__(self, home: Path, what: str) -> None:
        self.home, self.what = home, f"this entry {what}"
        super().__init__(home, self.what, "move it away and run again to make it anew")


def identity(path: Path) -> str:
    """What the entry at `path`, or being written for that place, says of itself."""
    folder = path.parent.parent if path.parent.name.startswith(SCRATCH) else path.parent
    return f"{folder.parent.name}/{folder.name}/{path.name}"


def present(home: Path) -> bool:
    """Whether there is a regular file at `home`: no folder, and no link to somewhere else."""
    try:
        return stat.S_ISREG(home.lstat().st_mode)
    except OSError:
        return False


def check(home: Path) -> None:
    """Raise `Damaged` unless the entry's listing is sound and says that it is this entry."""
    if not present(home):
        raise Damaged(home, "is not a file")
    try:
        if home.suffix == ".zip":
            found = _of_zip(home)
        elif home.suffix == ".safetensors":
            found = _of_safetensors(home)
        else:
            found = json.loads(home.read_text(encoding="utf-8"))["entry"]
    except Damaged:
        raise
    except (OSError, ValueError, LookupError, TypeError, struct.error, zipfile.BadZipFile) as error:
        raise Damaged(home, f"cannot be read ({error})") from error
    if found != identity(home):
        raise Damaged(home, f"says that it is {found!r}")


def check_bytes(home: Path) -> None:
    """Raise `Damaged` where a part of the entry does not have the checksum it was packed with."""
    check(home)
    if home.suffix != ".zip":
        return
    try:
        with zipfile.ZipFile(home) as pack:
            bad = pack.testzip()
    except (OSError, zipfile.BadZipFile) as error:
        raise Damaged(home, f"cannot be read ({error})") from error
    if bad:
        raise Damaged(home, f"has a wrong checksum in its part {bad!r}")


def _of_zip(home: Path) -> str:
    size = os.path.getsize(home)
    with zipfile.ZipFile(home) as pack:
        names = pack.namelist()
        if len(set(names)) != len(names):
            raise Damaged(home, "has a part twice")
        for part in pack.infolist():
            if not _PART.fullmatch(part.filename) or ".." in part.filename.split("/"):
                raise Damaged(home, f"has a part with the unsafe name {part.filename!r}")
            if part.compress_type != zipfile.ZIP_STORED or part.file_size > size:
                raise Damaged(home, f"has a packed part {part.filename!r}; entries are not packed")
            if part.filename.endswith("/zarr.json"):
                _check_array(home, part.filename, json.loads(pack.read(part)), size)
        return pack.comment.decode()


def _check_array(home: Path, name: str, array: dict, size: int) -> None:
    """Refuse an array that claims far more than its file can hold."""
    if array.get("node_type") != "array":
        return
    bits = re.search(r"\d+$", str(array["data_type"]))
    claimed = math.prod(array["shape"]) * (int(bits[0]) // 8 if bits else 1)
    if claimed > max(_SMALL, _MOST_TIMES * size):
        raise Damaged(home, f"claims {claimed} bytes for {name!r} in a file of {size}")


def _of_safetensors(home: Path) -> str:
    with home.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > os.path.getsize(home):
            raise Damaged(home, "is cut short")
        header = json.loads(file.read(length))
    return header["__metadata__"]["entry"]
