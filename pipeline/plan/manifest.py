"""Read and check `data_manifest`: which scans and classes there are, tags, blessed keys.

A dataset's folder contains `scans.csv` (scan, split and, where scans are simulated, seed) and
`classes.csv` (name, prompts and, where labels are known by one of them, nyu40 or label_id).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.facts import ClassRow
from pipeline.plan import alike, csv_table

BLESSED = Path("data_manifest/blessed.csv")
MOST_CLASSES = 255  # pages keep a class in one byte, of which the last value stands for none
_KEY = re.compile("[0-9a-f]{12}")
_COLOR = re.compile("#?[0-9a-fA-F]{6}")
_IDS = {"nyu40": 41, "label_id": 2**16}  # column -> what an id is less than


def read_scans(path: Path) -> list[dict[str, str]]:
    """The rows of `scans.csv`; raises `BadInput` for duplicate and unsafe names, and bad seeds."""
    rows = [row for _, row in csv_table.read(path, ("scan", "split"), ("seed", "area"))]
    seen: set[str] = set()
    for row in rows:
        scan = row["scan"]
        if not scan.replace("_", "").replace("-", "").isalnum():
            raise BadInput(path, f"{scan!r} is not a scan name", "use letters, digits, _ and -")
        if scan in seen:
            raise BadInput(path, f"duplicate entry {scan}", "remove one of the lines")
        if row["split"] not in ("train", "val", "test"):
            raise BadInput(path, f"{scan} has split {row['split']!r}", "use train, val or test")
        if row.get("seed") and not re.fullmatch(r"[0-9]{1,18}", row["seed"]):
            raise BadInput(path, f"{scan} has the seed {row['seed']!r}", "write a whole number")
        seen.add(scan)
    return rows


def read_classes(path: Path) -> list[ClassRow]:
    """The classes in their order: name, prompts and, where given, nyu40, label_id, group and color.

    Classes that are only asked for need no id. Raises `BadInput` for columns that are not there, a
    duplicate name, an empty prompt, an id or a color that is none, groups of some classes only,
    more than `MOST_CLASSES`, and as `alike.require_apart` and `alike.require_order` do.
    """
    classes: list[ClassRow] = []
    rows = [row for _, row in csv_table.read(path, ("name", "prompts"), (*_IDS, "group", "color"))]
    for row in rows:
        name, prompts = row["name"], [prompt.strip() for prompt in row["prompts"].split("|")]
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
            if not _COLOR.fullmatch(row["color"]):
                what = f"{name} has the color {row['color']!r}"
                raise BadInput(path, what, "write one as #aec7e8, or nothing")
        classes.append(known)
    if not classes:
        raise BadInput(path, "names no class", "write a line for each")
    if len(classes) > MOST_CLASSES:
        what = f"names {len(classes)} classes, and pages and viewer show {MOST_CLASSES} at most"
        raise BadInput(path, what, "name fewer")
    without = [each["name"] for each in classes if "group" not in each]
    if 0 < len(without) < len(classes):
        raise BadInput(path, f"{without[0]} has no group, and others have one", "write one for all")
    alike.require_apart(path, classes)
    alike.require_order(path, rows)
    return classes


def _id(path: Path, row: Mapping[str, str], column: str) -> int | None:
    """An id of a class; None for an empty cell or no such column. Raises `BadInput`."""
    found = row.get(column) or ""
    if found and not (re.fullmatch("[0-9]{1,9}", found) and 0 < int(found) < _IDS[column]):
        what = f"{row['name']} has the {column.removesuffix('_id')} id {found[:20]!r}"
        remedy = f"write a number from 1 to {_IDS[column] - 1} or nothing"
        raise BadInput(path, what, remedy)
    return int(found) if found else None


def read_tags(path: Path, classes: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Scan -> names of the classes present, from a file that a user wrote: scan,classes ("a|b")."""
    names = {c["name"] for c in classes}
    tags: dict[str, list[str]] = {}
    for number, row in csv_table.read(path, ("scan", "classes")):
        scan, found = row["scan"], [name.strip() for name in row["classes"].split("|")]
        if scan in tags:
            raise BadInput(path, f"line {number} names {scan} a second time", "join the two lines")
        unknown = [name for name in found if name not in names]
        if unknown:
            what = f"{scan} has the unknown class {unknown[0]!r}"
            raise BadInput(path, what, "use the known names, and | between them")
        tags[scan] = found
    return tags


def read_blessed(path: Path) -> dict[str, dict[str, str]]:
    """Stage -> key -> the older key whose entries it keeps, as `upkeep.bless` found them equal.

    Where an older key was itself blessed, the oldest is kept. Raises `BadInput`.
    """
    columns = ("stage", "new", "old", "entries", "how")
    blessed: dict[str, dict[str, str]] = {}
    for number, row in csv_table.read(path, columns) if path.exists() else []:
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
