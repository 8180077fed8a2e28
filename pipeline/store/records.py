"""Records beside entries: which bytes were made, how many, and how long that took."""

import hashlib
from collections import defaultdict
from pathlib import Path

from pipeline.store import entry, filesystem

FOLDER = ".records"


def path_for(home: Path, sha256: str) -> Path:
    """Where it is recorded that an entry with these bytes was made."""
    return home.parent / FOLDER / f"{home.name}.{sha256}.json"


def digests_by_entry(folder: Path) -> dict[str, set[str]]:
    """Entry -> recorded SHA-256 of its bytes, for all that were ever made in a folder of entries.

    No record is opened: their names say it.
    """
    found: dict[str, set[str]] = defaultdict(set)
    if (folder / FOLDER).is_symlink():  # records are removed by these names, there alone
        return found
    for name in filesystem.list_names(folder / FOLDER):
        made, _, sha256 = name.removesuffix(".json").rpartition(".")
        found[made].add(sha256)
    return found


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(home: Path) -> None:
    """Raise `Damaged` unless the bytes of the entry are as recorded when it was made."""
    if not entry.present(path_for(home, digest(home))):
        raise entry.Damaged(home, entry.MISMATCH)
