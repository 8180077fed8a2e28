"""An entry is compared with its records when a process first uses it.

Up to `SMALL` bytes all of it is read (0.15 s for 64 MB on a slow core); of a larger zip its size
and the seal of its listing, which has the checksums that its parts are read with. An entry of which
nothing is recorded is taken by its own checksums alone, if it has any.
"""

import json
from pathlib import Path

from pipeline.store import entry, filesystem, records

SMALL = 64 << 20
_known: set[tuple[str, int, int, int]] = set()


def check(home: Path) -> None:
    """Raise `Damaged` unless the entry is as recorded when it was made, or `BadInput`."""
    with entry.read_errors(home):
        found = home.lstat()
        this = (str(home), found.st_ino, found.st_ctime_ns, found.st_size)
        if this not in _known and not _is_recorded(home, found.st_size):
            raise entry.Damaged(home, entry.MISMATCH)
    _known.add(this)


def _is_recorded(home: Path, size: int) -> bool:
    if size > SMALL and home.suffix == ".zip" and _has_listing(home, size):
        return True
    if entry.present(records.path_for(home, records.digest(home))):
        return True
    made = records.digests_by_entry(home.parent)
    return home.suffix == ".zip" and home.name not in made


def _has_listing(home: Path, size: int) -> bool:
    listing = entry.listing(home)
    for sha256 in records.digests_by_entry(home.parent).get(home.name, ()):
        try:
            record = json.loads(filesystem.read_text(records.path_for(home, sha256)))
            if (record["bytes"], record["listing"]) == (size, listing):
                return True
        except (OSError, ValueError, LookupError, TypeError):  # all of the entry is read then
            continue
    return False
