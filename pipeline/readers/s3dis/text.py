"""The text clouds of S3DIS: a point a line, `x y z r g b`, in one of two spellings.

    22.383 6.858 3.050 155 155 165                                     aligned release
    -15.986000 42.856000 0.353000 126.000000 98.000000 58.000000       v1.2, not aligned

A few bytes of the releases are damaged. In each that is known the bit 0x20 is cleared (a blank
became NUL, '0' became 0x10, '1' 0x11, '6' 0x16), so setting it gives the line back. That is done
for any control byte, and believed only where the line then is spelt exactly as its release
spells lines. The public tools drop the byte instead, which makes 211 out of 21.
"""

import re
import warnings
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
_SHOWN = 60  # bytes of a line that a sentence quotes


def read_points(path: Path) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Positions (N, 3) in metres as the file has them, and colours (N, 3).

    Warns of each line that was repaired. Raises `BadInput`, with the line and its bytes, where a
    line is not six numbers, of which the last three are colours, or where there is no line.
    """
    xyz, rgb, line = [], [], 1
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
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
        raise BadInput(path, "holds no point", DOWNLOAD)
    return np.concatenate(xyz), np.concatenate(rgb)


def count_points(path: Path) -> int:
    """The number of points that `read_points` gives, if it gives any. Raises `BadInput`."""
    try:
        with open(path, "rb") as file:
            return sum(not line.isspace() for line in file)
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", DOWNLOAD) from None


def is_aligned(path: Path) -> bool:
    """Whether a text cloud is of the aligned release, told by the spelling of its first lines.

    Raises `BadInput` where it is of neither.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", DOWNLOAD) from None
    for line in head.splitlines():
        for spelling in (_ALIGNED, _NOT_ALIGNED):
            if spelling.fullmatch(line):
                return spelling is _ALIGNED
    raise _no_point(path, 1, head.splitlines()[0] if head else b"")


def _repaired(path: Path, block: bytes, first_line: int) -> bytes:
    """`block` with each damaged line mended; nearly always there is none."""
    if not _DAMAGED.search(block):
        return block
    lines = re.split(rb"(?<=\n)", block)
    for number, line in enumerate(lines, start=first_line):
        if not _DAMAGED.search(line):
            continue
        mended = _DAMAGED.sub(lambda found: bytes([found[0][0] | 0x20]), line)
        if not (_ALIGNED.fullmatch(mended) or _NOT_ALIGNED.fullmatch(mended)):
            raise _no_point(path, number, line)
        warnings.warn(
            f"{path} line {number}: the damaged {line.strip()!r} is read as {mended.strip()!r}",
            stacklevel=3,
        )
        lines[number - first_line] = mended
    return b"".join(lines)


def _parsed(path: Path, block: bytes, first_line: int) -> NDArray[np.float64]:
    try:
        if block.replace(b"\r\n", b"\n").translate(None, _PLAIN):
            raise ValueError("other bytes than those of numbers")
        values = np.loadtxt(BytesIO(block), comments=None, ndmin=2, encoding="latin-1")
        if _are_points(values):
            return values
    except ValueError:
        pass
    for number, line in enumerate(block.split(b"\n"), start=first_line):
        try:
            fields = np.array([line.split()], np.float64)
            whole = not line.strip() or _are_points(fields)
        except ValueError:
            whole = False
        if not whole or line.removesuffix(b"\r").translate(None, _PLAIN):
            raise _no_point(path, number, line)
    raise BadInput(path, f"cannot be parsed from line {first_line} on", DOWNLOAD)


def _are_points(values: NDArray[np.float64]) -> bool:
    colors = values[:, 3:]
    return (
        values.shape[1] == 6
        and bool(np.isfinite(values).all())
        and bool(((colors >= 0) & (colors <= 255) & (colors == np.rint(colors))).all())
    )


def _no_point(path: Path, number: int, line: bytes) -> BadInput:
    shown = line.rstrip(b"\r\n")
    quoted = f"{shown[:_SHOWN]!r}{'...' if len(shown) > _SHOWN else ''}"
    return BadInput(f"{path} line {number}", f"is no point, but {quoted}", DOWNLOAD)
