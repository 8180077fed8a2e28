"""The text clouds of S3DIS: one point per line, `x y z r g b`, in one of two formats.

    22.383 6.858 3.050 155 155 165                                     aligned release
    -15.986000 42.856000 0.353000 126.000000 98.000000 58.000000       v1.2, not aligned

A few bytes of the releases are damaged. In each known case the bit 0x20 is cleared (a blank
became NUL, '0' became 0x10, '1' 0x11, '6' 0x16), so setting it restores the line. This is done for
any control byte, and accepted only if the line then matches the format of its release exactly. The
public tools drop the byte instead, which turns 21 into 211.
"""

import re
import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput

DOWNLOAD = "download it again"

_PLAIN = b"0123456789.- \t\n"
_DAMAGED = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ALIGNED = re.compile(rb"(-?[0-9]+\.[0-9]{3} ){3}[0-9]{1,3}( [0-9]{1,3}){2}\r?\n?")
_NOT_ALIGNED = re.compile(rb"(-?[0-9]+\.[0-9]{6} ){3}[0-9]{1,3}\.0{6}( [0-9]{1,3}\.0{6}){2}\r?\n?")
_BLOCK = 1 << 24  # bytes parsed at a time
_SHOWN = 60  # bytes of a line that a message quotes


def read_points(
    path: Path, block_bytes: int = _BLOCK
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Positions (N, 3) in metres as in the file, and colours (N, 3).

    The file is parsed `block_bytes` at a time. Warns about each repaired line. Raises `BadInput`,
    with the line and its bytes, where a line is not three coordinates and three colours, or where
    there is no line.
    """
    xyz, rgb, line = [], [], 1
    try:
        with open(path, "rb") as file:
            while block := file.read(block_bytes):
                block += file.readline()
                lines = block.count(b"\n")
                block = _repaired(path, block, line)
                if block.strip():
                    values = _parsed(path, block, line)
                    xyz.append(values[:, :3])
                    rgb.append(values[:, 3:].astype(np.uint8))
                line += lines
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", DOWNLOAD) from None
    if not xyz:
        raise BadInput(path, "contains no point", DOWNLOAD)
    return np.concatenate(xyz), np.concatenate(rgb)


def count_points(path: Path) -> int:
    """The number of points that `read_points` returns for a valid file. Raises `BadInput`."""
    try:
        with open(path, "rb") as file:
            return sum(not line.isspace() for line in file)
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", DOWNLOAD) from None


def is_aligned(path: Path) -> bool:
    """Whether a text cloud is of the aligned release, by the format of its first lines.

    Raises `BadInput` where it has the format of neither release.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", DOWNLOAD) from None
    for line in head.splitlines():
        for layout in (_ALIGNED, _NOT_ALIGNED):
            if layout.fullmatch(line):
                return layout is _ALIGNED
    raise _not_a_point(path, 1, head.splitlines()[0] if head else b"")


def all_aligned(paths: Sequence[Path]) -> bool:
    """Whether the text clouds of one room are of the aligned release.

    Raises `BadInput` where some are and some are not, since only one of the two would be in place,
    and as `is_aligned`.
    """
    aligned = [is_aligned(path) for path in paths]
    most = 2 * sum(aligned) >= len(aligned)
    odd = [path for path, own in zip(paths, aligned, strict=True) if own != most]
    if odd:
        rest = f", as {len(odd) - 1} more files" if len(odd) > 1 else ""
        names = "the aligned release", "Stanford3dDataset_v1.2"
        own, other = names if not most else reversed(names)
        what = (
            f"is of {own}{rest}, and the other {len(paths) - len(odd)} of the room are of {other}"
        )
        raise BadInput(odd[0], what, "take all files of a room from one release")
    return most


def _repaired(path: Path, block: bytes, first_line: int) -> bytes:
    """`block` with each damaged line repaired; nearly always there is none."""
    if not _DAMAGED.search(block):
        return block
    lines = re.split(rb"(?<=\n)", block)
    for number, line in enumerate(lines, start=first_line):
        if not _DAMAGED.search(line):
            continue
        repaired = _DAMAGED.sub(lambda found: bytes([found[0][0] | 0x20]), line)
        if not (_ALIGNED.fullmatch(repaired) or _NOT_ALIGNED.fullmatch(repaired)):
            raise _not_a_point(path, number, line)
        warnings.warn(
            f"{path} line {number}: the damaged {line.strip()!r} is read as {repaired.strip()!r}.",
            stacklevel=3,
        )
        lines[number - first_line] = repaired
    return b"".join(lines)


def _parsed(path: Path, block: bytes, first_line: int) -> NDArray[np.float64]:
    try:
        if block.replace(b"\r\n", b"\n").translate(None, _PLAIN):
            raise ValueError("bytes that are not part of numbers")
        values = np.loadtxt(BytesIO(block), comments=None, ndmin=2, encoding="latin-1")
        if _are_points(values):
            return values
    except ValueError:
        pass
    for number, line in enumerate(block.split(b"\n"), start=first_line):
        try:
            fields = np.array([line.split()], np.float64)
            valid = not line.strip() or _are_points(fields)
        except ValueError:
            valid = False
        if not valid or line.removesuffix(b"\r").translate(None, _PLAIN):
            raise _not_a_point(path, number, line)
    raise BadInput(path, f"cannot be parsed from line {first_line} on", DOWNLOAD)


def _are_points(values: NDArray[np.float64]) -> bool:
    colors = values[:, 3:]
    return (
        values.shape[1] == 6
        and bool(np.isfinite(values).all())
        and bool(((colors >= 0) & (colors <= 255) & (colors == np.rint(colors))).all())
    )


def _not_a_point(path: Path, number: int, line: bytes) -> BadInput:
    shown = line.rstrip(b"\r\n")
    quoted = f"{shown[:_SHOWN]!r}{'...' if len(shown) > _SHOWN else ''}"
    return BadInput(f"{path} line {number}", f"is not a point: {quoted}", DOWNLOAD)
