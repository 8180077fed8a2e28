"""Which scans there are where no csv file lists them: each folder in `raw` is one."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.readers.folder.files import check
from pipeline.readers.folder.values import read_text

TAGS = "tags.txt"  # in the folder of a scan: the classes that are in it


def find_scans(raw: Path) -> tuple[list[str], list[str]]:
    """The scans in the folder `raw` by name, and a sentence about each folder that is none."""
    found, faults = [], []
    folders = raw.iterdir() if raw.is_dir() else ()
    for scan in sorted(f.name for f in folders if f.is_dir() and not f.name.startswith(".")):
        try:
            check(raw, scan, "train", labels=False)
            found.append(scan)
        except BadInput as error:
            faults.append(str(error))
    return found, faults


def read_own_tags(raw: Path, scans: Iterable[str], classes: Sequence[str]) -> dict[str, list[str]]:
    """Scan -> the classes in its `tags.txt`, of those scans that have one.

    A class stands on a line of its own, or between two `|`. Raises `BadInput` for a name that is
    none of `classes`.
    """
    tags = {}
    for scan in scans:
        path = raw / scan / TAGS
        if not path.is_file():
            continue
        lines = read_text(path).replace("|", "\n").splitlines()
        names = [line.strip() for line in lines if line.strip()]
        unknown = [name for name in names if name not in classes]
        if unknown or not names:
            what = f"has the unknown class {unknown[0]!r}" if unknown else "names no class"
            raise BadInput(path, what, f"use names like {', '.join(classes[:3])}, or remove it")
        tags[scan] = names
    return tags
