"""Write the text clouds of S3DIS as its two releases spell them, faults included on request.

Spellings: the public loaders of S3DIS (PointNet, Pointcept, KPConv) and the lines their issues
quote; the faults are those that their patches mend.
"""

import fcntl
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NOT_ALIGNED, ALIGNED = "Stanford3dDataset_v1.2", "Stanford3dDataset_v1.2_Aligned_Version"
_FORMAT = {NOT_ALIGNED: "%f", ALIGNED: ("%.3f",) * 3 + ("%d",) * 3}
# Characters that have lost their bit 0x20 somewhere in each release.
FAULTS = {NOT_ALIGNED: b"01", ALIGNED: b" 6"}


def write_points(
    path: Path, release: str, xyz: NDArray[np.float64], rgb: NDArray[np.uint8]
) -> None:
    """Write points (N, 3) in metres, to the millimetre, and colours (N, 3)."""
    # Rounding may leave -0.0, which no release has.
    values = np.column_stack([np.round(xyz, 3) + 0.0, rgb])
    np.savetxt(path, values, _FORMAT[release])


def damage(path: Path, release: str) -> int:
    """Clear the bit 0x20 of one character of each kind that the release has lost it of.

    Gives the number of lines changed, each at one place.
    """
    lines = path.read_bytes().split(b"\n")
    number = 0
    for wanted in FAULTS[release]:
        # Behind the first blank, so that the character is in the middle of the line.
        while (at := lines[number].find(bytes([wanted]), lines[number].find(b" ") + 1)) < 0:
            number += 1
        line = bytearray(lines[number])
        line[at] &= ~0x20
        lines[number] = bytes(line)
        number += 1
    path.write_bytes(b"\n".join(lines))
    return len(FAULTS[release])


def add_angle(folder: Path, room: str, angle: int) -> None:
    """Enter the angle of a room in the `Area_N_alignmentAngle.txt` of its area's folder.

    The rooms of an area can be written at the same time, in any order: the file comes out the same.
    """
    area = folder.name
    head = [
        f"## Global alignment angle per disjoint space in {area} ##",
        "## Disjoint Space Name Global Alignment Angle ##",
    ]
    with open(folder / f"{area}_alignmentAngle.txt", "a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        angles = dict(line.split() for line in file if not line.startswith("#"))
        angles[room] = str(angle)
        file.truncate(0)
        file.write("\n".join([*head, *(f"{name} {angles[name]}" for name in sorted(angles))]))
        file.write("\n")
