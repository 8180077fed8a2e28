"""A store that takes the place of the one of the last run is given what that one has.

Tables and pages are of a work tree, not of a store: they are there after `store` was changed, so a
run would have nothing to do, and the new store would stay empty.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pipeline.plan.plan import Plan
from pipeline.progress import Progress
from pipeline.store import entry, filesystem, records
from pipeline.store.damaged import own_folder
from pipeline.store.publish import RECIPE, place


def last_store(plan: Plan) -> Path | None:
    """The store that the last run of this work tree used, if it is another and still there."""
    try:
        last = Path(json.loads(plan.path.read_text(encoding="utf-8"))["store"])
    except (OSError, ValueError, TypeError, KeyError):  # no run before, or no plan
        return None
    same = os.path.realpath(last) == os.path.realpath(plan.facts.store)
    return None if same or not last.is_dir() else last


def carry_raw_digests(plan: Plan) -> None:
    """Copy what the last store knows of raw files, which are then not hashed again."""
    if (last := last_store(plan)) is None:
        return
    old, new = last / plan.dataset / plan.records.name, plan.records
    for name in filesystem.list_names(old):
        with suppress(OSError):  # then they are hashed
            if name.endswith(".json") and not (new / name).exists():
                new.mkdir(parents=True, exist_ok=True)
                partial = new / f".{name}.{os.getpid()}"  # a name that is no record's
                shutil.copyfile(old / name, partial)
                partial.replace(new / name)


def carry_entries(plan: Plan, dry_run: bool = False) -> None:
    """Copy the entries of a plan that its store lacks and the last one has, checked, and say so.

    A damaged one is named, and made again by the run. In a dry run they are only counted. Raises
    `BadInput` where the store cannot be written to.
    """
    if (last := last_store(plan)) is None:
        return
    moved = [*_missing(plan, last)]
    if not moved:
        return
    what = f"{len(moved)} entries of {last}, the store of the last run"
    if dry_run:
        print(f"{plan.dataset}: would copy {what}, into {plan.facts.store}", file=sys.stderr)
        return
    print(f"{plan.dataset}: copying {what}, into {plan.facts.store}", file=sys.stderr)
    for old, new in Progress(moved, desc="copying", unit="entry"):
        try:
            _copy(old, new)
        except entry.Damaged as error:
            print(f"{plan.dataset}: not copied: {error}", file=sys.stderr)
    plan.write(plan.facts.keep_going)


def is_dry_run(arguments: Iterable[str]) -> bool:
    """Whether a command of Snakemake only says what it would do."""
    dry = re.compile(r"--dry-?run|-[a-zA-Z]*n[a-zA-Z]*")
    return any(dry.fullmatch(each) for each in arguments)


def _missing(plan: Plan, last: Path) -> Iterable[tuple[Path, Path]]:
    store = Path(plan.facts.store)
    for each in plan.entries:
        new = plan.home(*each)
        old = last / new.relative_to(store)
        if entry.present(old) and not entry.present(new):
            yield old, new


def _copy(old: Path, new: Path) -> None:
    """Copy an entry with its record. Raises `Damaged` where its bytes are not the recorded ones."""
    entry.check(old)
    with place(new, _recipe(old)) as path:
        shutil.copyfile(old, path)
        sha256 = records.digest(path)
        record, copied = records.path_for(old, sha256), records.path_for(new, sha256)
        if not entry.present(record):
            raise entry.Damaged(old, entry.MISMATCH)
        if not entry.present(copied):  # with the time that making it took
            own_folder(copied.parent)
            partial = path.with_name("copied")
            shutil.copyfile(record, partial)
            filesystem.publish(partial, copied)


def _recipe(home: Path) -> dict[str, object] | None:
    try:
        found = json.loads(home.with_name(RECIPE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
