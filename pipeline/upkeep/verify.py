"""`python -m pipeline.upkeep.verify [STORE]`: read all entries again and compare with records.

What is not the entry that its place says, byte for byte, is moved aside, never deleted; the next
run makes it again. An entry that was never recorded is held against its own checksums alone, and
one of another format of the store, which other code may still use, against its record alone.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from pipeline.errors import BadInput
from pipeline.plan import config, provenance
from pipeline.store import damaged, entry, publish, records
from pipeline.upkeep import census


@dataclass(frozen=True)
class Finding:
    """Something in a store that should not be believed."""

    path: Path
    what: str
    aside: Path | None = None  # where it lies now
    kept: str = ""  # why it was not moved


class Task(NamedTuple):
    """An entry to be read."""

    home: Path
    size: int  # bytes
    recorded: set[str]  # digests that entries made for this place had
    readable: bool  # whether it is of this code's format


@dataclass
class Report:
    """What a look at a whole store gave."""

    entries: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)
    unrecorded: Counter[Path] = field(default_factory=Counter)  # entries in a folder


def verify(root: Path, dataset: str | None = None, jobs: int | None = None) -> Report:
    """Check all entries of a store, or of one of its datasets, and move aside what is wrong.

    Raises `BadInput` where there is no store.
    """
    found, links = census.folders(root, dataset)
    report = Report()
    report.findings += [Finding(link, "is a link", kept="links are not followed") for link in links]
    todo: list[Task] = []
    for path in found:
        try:
            folder = census.look(path)
            recorded = census.digests(path)
        except (BadInput, OSError) as error:
            report.findings.append(Finding(path, f"cannot be read ({error})", kept="not looked at"))
            continue
        made_by, fault = check_recipe(path / publish.RECIPE)
        readable = made_by == provenance.FORMAT
        report.findings += [fault] if fault else []
        if readable:
            report.findings += [_moved(item, what) for item, what in folder.foreign.items()]
        for name, size in folder.entries.items():
            todo.append(Task(path / name, size, recorded.get(name, set()), readable))
            report.unrecorded[path] += name not in recorded
    total = sum(task.size for task in todo)
    with (
        tqdm(total=total, unit="B", unit_scale=True, mininterval=1) as bar,
        ThreadPoolExecutor(jobs or os.cpu_count()) as pool,
    ):
        for task, finding in zip(todo, pool.map(_look, todo), strict=True):
            bar.update(task.size)
            report.entries += 1
            report.bytes += task.size
            if finding:
                report.findings.append(finding)
    return report


def check(task: Task) -> None:
    """Raise `Damaged` unless this is the entry that its place says, made with these very bytes.

    Raises another `BadInput`, or OSError, where the machine cannot read it just now.
    """
    if not entry.present(task.home):  # before it is opened: a pipe would never end
        raise entry.Damaged(task.home, "is not a file")
    if task.recorded and records.digest(task.home) not in task.recorded:
        raise entry.Damaged(task.home, entry.MISMATCH)
    if task.readable:
        entry.check_bytes(task.home)


def check_recipe(path: Path) -> tuple[int, Finding | None]:
    """The format of a folder of entries as its recipe says, and what is wrong with the recipe.

    A recipe's key is the folder's name. Where there is none, entries have to be of this format.
    """
    if not entry.present(path):
        return provenance.FORMAT, None
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
        if provenance.key(recipe) == path.parent.name:
            return recipe["format"], None
        fault = _moved(path, "is the recipe of another key")
    except OSError as error:
        fault = Finding(path, f"cannot be read ({error})", kept="it may be sound")
    except (ValueError, LookupError, TypeError, RecursionError):
        fault = _moved(path, "is no recipe")
    return provenance.FORMAT, fault


def _look(task: Task) -> Finding | None:
    try:
        check(task)
    except (BadInput, OSError) as error:
        if not os.path.lexists(task.home):  # removed just now
            return None
        if isinstance(error, entry.Damaged):
            return _moved(task.home, error.what)
        # Not about the entry but about the disk or the reader.
        return Finding(task.home, f"cannot be read ({error})", kept="it may be sound")
    return None


def _moved(home: Path, what: str) -> Finding:
    """Set aside what is wrong, unless it cannot be moved or would leave the store."""
    try:
        if (home.parent / damaged.FOLDER).is_symlink():
            raise BadInput(
                home, f"cannot be moved, as {damaged.FOLDER} is a link", "remove the link"
            )
        return Finding(home, what, aside=damaged.move_aside(home))
    except BadInput as error:
        return Finding(home, what, kept=str(error.__cause__ or error))


def told(report: Report) -> str:
    """The report in words."""
    lines = []
    for f in report.findings:
        where = f"set aside as {f.aside}" if f.aside else f"could not be moved: {f.kept}"
        lines.append(": ".join(census.shown(text) for text in (f.path, f.what, where)))
    for folder, count in sorted(report.unrecorded.items()):
        if count:
            lines.append(f"{folder}: {count} not recorded, so only their own checksums speak")
    moved = sum(f.aside is not None for f in report.findings)
    unrecorded = report.unrecorded.total()
    lines.append(
        f"{report.entries} entries of {census.size(report.bytes)} were read, {unrecorded} of them "
        f"not recorded; {len(report.findings)} things were found wrong, {moved} of them set aside."
    )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify a store; 1 where anything in it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.upkeep.verify", description=__doc__)
    parser.add_argument("store", type=Path, nargs="?", help="default: the config's, $SCAN_STORE")
    parser.add_argument("--config", type=Path, default=config.CONFIG)
    parser.add_argument("--dataset", help="verify only this one")
    parser.add_argument("--jobs", type=int, help="entries read at once (default: one per core)")
    given = parser.parse_args(arguments)
    try:
        report = verify(given.store or census.root(given.config), given.dataset, given.jobs)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1
    print(told(report))
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
