"""What dead processes left in a store: leases, and scratch folders.

Neither file times nor clocks prove that something is abandoned, so it is compared with itself after
a while.
"""

import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.store import entry, lease
from pipeline.upkeep import inventory

PAUSE = 2 * lease.BEAT  # seconds between the two looks at it


@dataclass(frozen=True)
class Abandoned:
    """Leases of dead holders with their contents, scratch of dead makers, and leases in force."""

    leases: dict[Path, str]
    scratch: set[Path]
    in_force: set[Path]


def find(
    folders: Iterable[inventory.Folder], pause: float = PAUSE, patience: float = lease.PATIENCE
) -> Abandoned:
    """Find what is abandoned in some folders of entries; `pause` and `patience` are in seconds.

    A lease of a process of this machine is dead if that process has ended, one of another machine
    if it is unchanged for `patience`. Scratch is abandoned if no lease is in force in its folder
    and its files are unchanged after `pause`.
    """
    folders = list(folders)
    content = {path: read(path) for folder in folders for path in leases(folder.path)}
    before = {path: inventory.snapshot(path) for folder in folders for path in folder.scratch}
    dead = {path for path in content if lease.is_gone(lease.holder(content[path]))}
    unsure, still, begin, waited = content.keys() - dead, set(before), time.monotonic(), 0.0
    if unsure or still:
        print("waiting to see whether anything is abandoned", file=sys.stderr, flush=True)
    while (unsure and waited < patience) or (still and waited == 0):
        time.sleep(pause)
        waited = time.monotonic() - begin
        unsure = {path for path in unsure if read(path) == content[path]}
        still = {path for path in still if inventory.snapshot(path) == before[path]}
    dead |= unsure
    in_force = content.keys() - dead
    working = {path.parent.parent for path in in_force}
    return Abandoned(
        {path: content[path] for path in sorted(dead)},
        {path for path in still if path.parent not in working},
        in_force,
    )


def leases(folder: Path) -> list[Path]:
    """The leases in a folder of entries."""
    return [path for path in inventory.list_subfolder(folder / lease.FOLDER) if entry.present(path)]


def read(path: Path) -> str:
    """The content of a lease; "" where it has been removed."""
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
