"""Read, check and complete `data_manifest`: which scans there are and what identifies their files.

A dataset's folder contains `scans.csv` (scan, split and, where scans are simulated, seed) and
`classes.csv` (name, prompts and, where labels are known by them, nyu40). The digests of a user's
own download are computed once and recorded in the store: with them anybody can plan, also on a
machine without the raw data.
"""

import csv
import hashlib
import json
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline.errors import BadInput
from pipeline.facts import ClassRow
from pipeline.store.entry import SCRATCH

BLESSED = Path("data_manifest/blessed.csv")
_KEY = re.compile("[0-9a-f]{12}")
Files = Mapping[str, Mapping[str, Path]]  # group -> name -> path: the raw files of one scan


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
    """The classes in their order: name, prompts and, where given, nyu40 and color.

    Classes that are only asked for need no id. Raises `BadInput` for columns that are not there, a
    duplicate name, an empty prompt and an id that is not a number.
    """
    classes: list[ClassRow] = []
    for row in _read_csv(path, ("name", "prompts")):
        name, prompts = row["name"], [prompt.strip() for prompt in row["prompts"].split("|")]
        if any(name == other["name"] for other in classes):
            raise BadInput(path, f"duplicate entry {name}", "remove one of the lines")
        if not all(prompts):
            raise BadInput(path, f"{name} has an empty prompt", "write words, and | between them")
        nyu40 = row.get("nyu40") or ""
        if nyu40 and not (nyu40.isdecimal() and int(nyu40) < 2**16):
            raise BadInput(path, f"{name} has the nyu40 id {nyu40!r}", "write a number or nothing")
        known: ClassRow = {"name": name, "prompts": prompts}
        if nyu40:
            known["nyu40"] = int(nyu40)
        if row.get("color"):
            known["color"] = row["color"]
        classes.append(known)
    if not classes:
        raise BadInput(path, "names no class", "write a line for each")
    return classes


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


def raw_digests(
    files: Mapping[str, Files | None], records: Path, progress: str = "reading raw files"
) -> dict[str, dict[str, str]]:
    """Scan -> group -> SHA-256 over the group's files, hashing only what is not yet recorded.

    `files` gives the raw files of each scan, or None where this machine has no raw data: then the
    record alone speaks. A file counts as known if its size, times and inode are as recorded: the
    change time betrays a file that was replaced by one of equal size and modification time. Every
    scan is recorded in `records` as soon as it is read, so an interrupted run goes on where it was.
    Scans that are neither here nor recorded are absent from the result.
    """
    known = {scan: _read_record(records / f"{scan}.json") for scan in files}
    stale = {
        scan: groups
        for scan, groups in files.items()
        if groups is not None and not _is_current(known[scan], groups)
    }
    if stale:
        size = sum(p.stat().st_size for g in stale.values() for n in g.values() for p in n.values())
        with (
            tqdm(total=size, desc=progress, unit="B", unit_scale=True, mininterval=1) as bar,
            ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool,
        ):
            for scan, record in pool.map(lambda s: (s, _measure(stale[s], bar)), stale):
                _write_record(records / f"{scan}.json", record)
                known[scan] = record
    return {
        scan: {group: _combined(names) for group, names in record.items()}
        for scan, record in known.items()
        if record
    }


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


def _measure(groups: Files, bar: tqdm) -> dict[str, dict[str, Any]]:
    return {
        group: {name: {**_stat(path), "sha256": _sha256(path, bar)} for name, path in names.items()}
        for group, names in groups.items()
    }


def _sha256(path: Path, bar: tqdm) -> str:
    h = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            h.update(block)
            bar.update(len(block))
    return h.hexdigest()


def _stat(path: Path) -> dict[str, int]:
    s = path.stat()
    return {"size": s.st_size, "mtime": s.st_mtime_ns, "ctime": s.st_ctime_ns, "inode": s.st_ino}


def _is_current(record: Mapping[str, Any], groups: Files) -> bool:
    return {g: set(n) for g, n in record.items()} == {g: set(n) for g, n in groups.items()} and all(
        _stat(path).items() <= record[group][name].items()
        for group, names in groups.items()
        for name, path in names.items()
    )


def _combined(names: Mapping[str, Mapping[str, Any]]) -> str:
    listing = sorted((name, file["sha256"]) for name, file in names.items())
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        for names in record.values():
            _combined(names)
        return record
    except FileNotFoundError:
        return {}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(path, f"is not a record of digests ({error})", "remove it") from error


def _write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Remember what was read; a store that cannot be written only makes it be read again."""
    partial = path.with_name(f"{SCRATCH}{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(record, indent=1), encoding="utf-8")
        os.replace(partial, path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
