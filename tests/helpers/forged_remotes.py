"""A remote that a test may forge, and what is looked at after entries were taken from it."""

import shutil
import time
from pathlib import Path

import pytest

from pipeline.plan.plan import Plan
from pipeline.remotes.caches import Caches
from pipeline.remotes.signed import Record, decode
from pipeline.remotes.taking import take
from pipeline.remotes.wanted import Wanted
from pipeline.store import entry, records
from tests.helpers import tiny_store
from tests.helpers.tiny_remotes import Lab

WHAT = ("voxels", "scene0000_00")
OTHER = ("voxels", "scene0001_00")


def forged(honest: Lab, folder: Path) -> Lab:
    """The same lab, with what it gave copied to a folder where it may be changed."""
    own = object.__new__(Lab)
    own.__dict__ |= honest.__dict__ | {"folder": folder, "given": folder / "given"}
    shutil.copytree(honest.given, own.given)
    return own


def folder_of(lab: Lab) -> Path:
    """The folder of the entries in question."""
    return lab.given / "scannet" / "voxels" / lab.plan.keys["voxels"]


def bytes_of(lab: Lab, what: tuple[str, str] = WHAT) -> Path:
    """Where the bytes of an entry are."""
    home = lab.plan.home(*what)
    return folder_of(lab) / f"{home.name}.{records.digest(home)}"


def listed(lab: Lab) -> list[Record]:
    """The records in it."""
    lines = (folder_of(lab) / "list/000000.jsonl").read_bytes().splitlines()
    return [line.record for line in map(decode, lines) if line]


def relist(lab: Lab, lines: bytes) -> None:
    """Write other lines into the listing."""
    (folder_of(lab) / "list/000000.jsonl").write_bytes(lines)


def taken(caches: Caches, plan: Plan) -> int:
    """Take entries; whatever the remote did, the store has whole entries and nothing else."""
    begin = time.monotonic()
    count = take(caches, [Wanted(plan, [WHAT], or_made=False)])
    assert time.monotonic() - begin < 20
    store = Path(plan.facts.store)
    homes = [path for path in store.glob("scannet/*/*/*@*") if path.is_file()]
    for home in homes:
        entry.check_bytes(home)
        records.check(home)
    assert len(homes) == count
    assert len([*store.rglob(".records/*")]) == count
    return count


def refused(lab: Lab, said: pytest.CaptureFixture[str], caches: Caches) -> str:
    """What is said when the entry is not taken: one line."""
    assert taken(caches, tiny_store.plan(lab.folder / "other")) == 0
    lines = [line for line in said.readouterr().err.splitlines() if "fetch" not in line]
    assert len(lines) == 1, lines
    return lines[0]
