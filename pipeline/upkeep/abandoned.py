"""What processes left behind in a store when they died: leases, and scratch.

Neither file times nor clocks prove that anything is abandoned: it is looked at twice.
"""

import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.store import entry, lease
from pipeline.upkeep import census

PAUSE = 2 * lease.BEAT  # seconds between two looks


@dataclass(frozen=True)
class Abandoned:
    """Leases of dead owners with what they said, scratch of nobody, and the leases in force."""

    leases: dict[Path, str]
    scratch: set[Path]
    in_force: set[Path]


def find(
    folders: Iterable[census.Folder], pause: float = PAUSE, patience: float = lease.PATIENCE
) -> Abandoned:
    """Look for what is abandoned in some folders of entries.

    A lease of this machine says itself whether its owner is gone; one of another machine has to
    stand still for `patience` seconds. Scratch is nobody's if no lease is in force in its folder,
    and all its files are the same after `pause` seconds.
    """
    folders = list(folders)
    said = {path: read(path) for folder in folders for path in leases(folder.path)}
    looked = {path: census.contents(path) for folder in folders for path in folder.scratch}
    dead = {path for path in said if lease.is_gone(said[path].partition("\n")[2])}
    unsure, still, begin, waited = said.keys() - dead, set(looked), time.monotonic(), 0.0
    if unsure or still:
        print("looking twice at what may be abandoned", file=sys.stderr, flush=True)
    while (unsure and waited < patience) or (still and waited == 0):
        time.sleep(pause)
        waited = time.monotonic() - begin
        unsure = {path for path in unsure if read(path) == said[path]}
        still = {path for path in still if census.contents(path) == looked[path]}
    dead |= unsure
    in_force = said.keys() - dead
    working = {path.parent.parent for path in in_force}
    return Abandoned(
        {path: said[path] for path in sorted(dead)},
        {path for path in still if path.parent not in working},
        in_force,
    )


def leases(folder: Path) -> list[Path]:
    """The leases that there are in a folder of entries."""
    return [path for path in census.below(folder / lease.FOLDER) if entry.present(path)]


def read(path: Path) -> str:
    """What a lease says; nothing where there is none any more."""
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
