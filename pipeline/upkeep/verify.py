"""`python -m pipeline store verify`: read all entries again and compare them with their records.

What is not the entry that its place says, byte for byte, is moved aside, never deleted; the next
run makes it again. An entry without a record is compared with its own checksums alone, and one of
another format of the store, which other code may still use, with its record alone.
"""

import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import BadInput
from pipeline.plan import provenance
from pipeline.progress import Progress
from pipeline.store import damaged, entry, publish, records
from pipeline.tables import format_bytes
from pipeline.upkeep import inventory


@dataclass(frozen=True)
class Finding:
    """Something in a store that is wrong."""

    path: Path
    what: str
    aside: Path | None = None  # where it was moved
    kept: str = ""  # why it was not moved


class Task(NamedTuple):
    """An entry to verify."""

    home: Path
    size: int  # bytes
    recorded: set[str]  # SHA-256 of the entries that were made for this place
    readable: bool  # whether it has this code's format


@dataclass
class Report:
    """What was found in a store."""

    entries: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)
    unrecorded: Counter[Path] = field(default_factory=Counter)  # entries by folder


def verify(
    root: Path,
    dataset: str | None = None,
    jobs: int | None = None,
    store_format: int = provenance.FORMAT,
) -> Report:
    """Check all entries of a store, or of one of its datasets, and move aside what is wrong.

    `jobs` entries are read at a time, by default one per core; those of another format than
    `store_format` are not opened. Raises `BadInput` where there is no store, or no such dataset in
    it.
    """
    if dataset is not None and root.is_dir() and not (root / dataset).is_dir():
        raise BadInput(root, f"has no dataset {dataset!r}", "name one of its folders")
    found, links = inventory.folders(root, dataset)
    report = Report()
    report.findings += [Finding(link, "is a link", kept="links are not followed") for link in links]
    todo: list[Task] = []
    for path in found:
        try:
            folder = inventory.list_folder(path)
            recorded = records.digests_by_entry(path)
        except (BadInput, OSError) as error:
            fault = Finding(path, f"cannot be read ({error})", kept="it was not verified")
            report.findings.append(fault)
            continue
        made_by, wrong = check_recipe(path / publish.RECIPE, store_format)
        readable = made_by == store_format
        report.findings += [wrong] if wrong else []
        if readable:
            report.findings += [_move_aside(item, what) for item, what in folder.foreign.items()]
        for name, size in folder.entries.items():
            todo.append(Task(path / name, size, recorded.get(name, set()), readable))
            report.unrecorded[path] += name not in recorded
    total = sum(task.size for task in todo)
    with (
        Progress(desc="verifying", total=total, unit="B", unit_scale=True) as bar,
        ThreadPoolExecutor(jobs or os.cpu_count()) as pool,
    ):
        for task, finding in zip(todo, pool.map(_find_fault, todo), strict=True):
            bar.update(task.size)
            report.entries += 1
            report.bytes += task.size
            if finding:
                report.findings.append(finding)
    return report


def check(task: Task) -> None:
    """Raise `Damaged` unless this is the entry that its place says, with the recorded bytes.

    Raises a plain `BadInput`, or OSError, where the machine cannot read it just now.
    """
    if not entry.present(task.home):  # before it is opened: a pipe would block
        raise entry.Damaged(task.home, "is not a file")
    if task.recorded and records.digest(task.home) not in task.recorded:
        raise entry.Damaged(task.home, entry.MISMATCH)
    if task.readable:
        entry.check_bytes(task.home)


def check_recipe(path: Path, default: int) -> tuple[int, Finding | None]:
    """The format of a folder of entries by its recipe, and what is wrong with the recipe.

    A recipe's key must be the folder's name. Without a sound recipe, the format is `default`.
    """
    if not entry.present(path):
        return default, None
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
        if provenance.key(recipe) == path.parent.name:
            return recipe["format"], None
        fault = _move_aside(path, "is the recipe of another key")
    except OSError as error:
        fault = Finding(path, f"cannot be read ({error})", kept="it may be sound")
    except (ValueError, LookupError, TypeError, RecursionError):
        fault = _move_aside(path, "is no recipe")
    return default, fault


def _find_fault(task: Task) -> Finding | None:
    try:
        check(task)
    except (BadInput, OSError) as error:
        if not os.path.lexists(task.home):  # removed just now
            return None
        if isinstance(error, entry.Damaged):
            return _move_aside(task.home, error.what)
        # The fault of the disk or of this process, not of the entry.
        return Finding(task.home, f"cannot be read ({error})", kept="it may be sound")
    return None


def _move_aside(home: Path, what: str) -> Finding:
    """Move aside what is wrong, unless it cannot be moved or would leave the store."""
    try:
        return Finding(home, what, aside=damaged.move_aside(home))
    except BadInput as error:
        return Finding(home, what, kept=str(error.__cause__ or error))


def format_report(report: Report) -> str:
    """The report as text, a line per finding."""
    lines = []
    for f in report.findings:
        where = f"moved aside to {f.aside}" if f.aside else f"could not be moved: {f.kept}"
        lines.append(": ".join(inventory.printable(text) for text in (f.path, f.what, where)))
    for folder, count in sorted(report.unrecorded.items()):
        if count:
            lines.append(f"{folder}: {count} without a record; only their own checksums verified")
    moved = sum(f.aside is not None for f in report.findings)
    unrecorded = report.unrecorded.total()
    lines.append(
        f"{report.entries} entries of {format_bytes(report.bytes)} were read, {unrecorded} of them "
        f"without a record; {len(report.findings)} faults, {moved} of them moved aside."
    )
    return "\n".join(lines)
