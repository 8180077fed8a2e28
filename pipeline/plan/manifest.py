"""Read and check `data_manifest`: which scans and classes there are, tags, blessed keys.

A dataset's folder contains `scans.csv` (scan, split and, where scans are simulated, seed) and
`classes.csv` (name, prompts and, where labels are known by one of them, nyu40 or label_id).
"""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.facts import ClassRow

BLESSED = Path("data_manifest/blessed.csv")
_KEY = re.compile("[0-9a-f]{12}")


def read_scans(path: Path) -> list[dict[str, str]]:
    """The rows of `scans.csv`; raises `BadInput` for duplicate and unsafe names."""
    rows = _read_csv(path, ("scan", "split"))
    seen: set[str] = set()
    for row in rows:
        scan = row["scan"]
        if not scan.replace("_", "").replace("-", "").isalnum():
            raise BadInput(path, f"{scan!r} is not a scan name", "use letters, digits, _ and -")
        if scan in seen:
            raise BadInput(path, f"duplicate entry {scan}", "remove one of the lines")
        if row["split"] not in ("train", "val", "test"):
            raise BadInput(path, f"{scan} has split {row['split']!r}", "use train, val or test")
        seen.add(scan)
    return rows


def read_classes(path: Path) -> list[ClassRow]:
    """The classes in their order: name, prompts and, where given, nyu40, label_id, group and color.

    Classes that are only asked for need no id. Raises `BadInput` for columns that are not there, a
    duplicate name, an empty prompt, an id that is not a number, and groups of some classes only.
    """
    classes: list[ClassRow] = []
    for row in _read_csv(path, ("name", "prompts")):
        name, prompts = row["name"], [prompt.strip() for prompt in row["prompts"].split("|")]
        if any(name == other["name"] for other in classes):
            raise BadInput(path, f"duplicate entry {name}", "remove one of the lines")
        if not all(prompts):
            raise BadInput(path, f"{name} has an empty prompt", "write words, and | between them")
        known: ClassRow = {"name": name, "prompts": prompts}
        if (nyu40 := _id(path, row, "nyu40")) is not None:
            known["nyu40"] = nyu40
        if (label_id := _id(path, row, "label_id")) is not None:
            known["label_id"] = label_id
        if row.get("group"):
            known["group"] = row["group"]
        if row.get("color"):
            known["color"] = row["color"]
        classes.append(known)
    if not classes:
        raise BadInput(path, "names no class", "write a line for each")
    without = [each["name"] for each in classes if "group" not in each]
    if 0 < len(without) < len(classes):
        raise BadInput(path, f"{without[0]} has no group, and others have one", "write one for all")
    return classes


def _id(path: Path, row: Mapping[str, str], column: str) -> int | None:
    """An id of a class; None for an empty cell or no such column. Raises `BadInput`."""
    found = row.get(column) or ""
    if found and not (found.isdecimal() and int(found) < 2**16):
        what = f"{row['name']} has the {column.removesuffix('_id')} id {found!r}"
        raise BadInput(path, what, "write a number or nothing")
    return int(found) if found else None


def read_tags(path: Path, classes: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Scan -> names of the classes present, from a file that a user wrote: scan,classes ("a|b")."""
    names = {c["name"] for c in classes}
    tags: dict[str, list[str]] = {}
    for row in _read_csv(path, ("scan", "classes")):
        tags[row["scan"]] = [name.strip() for name in row["classes"].split("|")]
        unknown = [name for name in tags[row["scan"]] if name not in names]
        if unknown:
            raise BadInput(
                path, f"{row['scan']} has the unknown class {unknown[0]!r}", "use the known names"
            )
    return tags


def read_blessed(path: Path) -> dict[str, dict[str, str]]:
    """Stage -> key -> the older key whose entries it keeps, as `upkeep.bless` found them equal.

    Where an older key was itself blessed, the oldest is kept. Raises `BadInput`.
    """
    rows = _read_csv(path, ("stage", "new", "old", "entries", "how")) if path.exists() else []
    blessed: dict[str, dict[str, str]] = {}
    for number, row in enumerate(rows, start=2):
        stage = blessed.setdefault(row["stage"], {})
        if row["new"] in stage or not all(_KEY.fullmatch(row[key]) for key in ("new", "old")):
            what = f"line {number} has a duplicate key, or one that is not a key"
            raise BadInput(path, what, "restore it")
        stage[row["new"]] = row["old"]
    for stage in blessed.values():
        for new in stage:
            followed = {new}
            while (old := stage[new]) in stage:
                if old in followed:
                    raise BadInput(path, f"its lines lead from {new} to itself", "remove one")
                followed.add(old)
                stage[new] = stage[old]
    return blessed


def _read_csv(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a mark
            table = csv.DictReader(file)
            rows, named = list(table), table.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", error)
        raise BadInput(path, f"cannot be read ({why})", "restore it") from error
    absent = [c for c in columns if c not in named]
    if absent:
        remedy = f"let its first line name {', '.join(columns)}"
        raise BadInput(path, f"has no column {absent[0]}", remedy)
    for number, row in enumerate(rows, start=2):
        missing = [c for c in columns if not row.get(c)]
        if missing:
            raise BadInput(path, f"line {number} has no {missing[0]}", "fill it in")
    return rows
