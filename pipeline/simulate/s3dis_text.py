"""Write the text clouds of S3DIS in the formats of its two releases, with faults on request.

Sources of the formats: the public loaders of S3DIS (PointNet, Pointcept, KPConv) and the lines that
their issues quote; the faults are those that their patches repair.
"""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ANGLES = "{}_alignmentAngle.txt"  # of the folder Area_N
NOT_ALIGNED, ALIGNED = "Stanford3dDataset_v1.2", "Stanford3dDataset_v1.2_Aligned_Version"
_FORMAT = {NOT_ALIGNED: "%f", ALIGNED: ("%.3f",) * 3 + ("%d",) * 3}
# Characters whose bit 0x20 is cleared somewhere in each release.
FAULTS = {NOT_ALIGNED: b"01", ALIGNED: b" 6"}


def write_points(
    path: Path, release: str, xyz: NDArray[np.float64], rgb: NDArray[np.uint8]
) -> None:
    """Write points (N, 3) in metres, to the millimetre, and colours (N, 3)."""
    # Rounding may produce -0.0, which no release has.
    values = np.column_stack([np.round(xyz, 3) + 0.0, rgb])
    np.savetxt(path, values, _FORMAT[release])


def damage(path: Path, release: str) -> int:
    """Clear the bit 0x20 of one character of each kind that is damaged in the release.

    Returns the number of changed lines, each changed at one place.
    """
    lines = path.read_bytes().split(b"\n")
    number = 0
    for wanted in FAULTS[release]:
        # After the first blank, so that the character is within the line.
        while (at := lines[number].find(bytes([wanted]), lines[number].find(b" ") + 1)) < 0:
            number += 1
        line = bytearray(lines[number])
        line[at] &= ~0x20
        lines[number] = bytes(line)
        number += 1
    path.write_bytes(b"\n".join(lines))
    return len(FAULTS[release])


def read_angles(path: Path) -> dict[str, str]:
    """The angle in degrees of each room in a file of angles; none where there is no file."""
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return dict(line.split() for line in lines if not line.startswith("#"))


def add_angles(folder: Path, angles: Mapping[str, str]) -> None:
    """Enter the angles of some rooms in the file of angles of their area's folder.

    The rooms of an area can be written at the same time, in any order: the resulting file is the
    same, and concurrent readers always find a complete file.
    """
    area = folder.name
    path = folder / ANGLES.format(area)
    head = [
        f"## Global alignment angle per disjoint space in {area} ##",
        "## Disjoint Space Name Global Alignment Angle ##",
    ]
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        known = {**read_angles(path), **angles}
        partial = path.with_suffix(".partial")
        lines = [*head, *(f"{name} {known[name]}" for name in sorted(known))]
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        os.replace(partial, path)
    finally:
        os.close(handle)
