"""`python -m pipeline.upkeep.prune`: list, and with --delete remove, what no config in use reaches.

In use are the configs given here, and every plan that somebody registered in the store by running
it. What they reach stays, and so does whatever is being made.
"""

import argparse
import os
import shutil
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.plan import config
from pipeline.plan.config import Registered
from pipeline.store import damaged, filesystem, lease, publish, records
from pipeline.upkeep import abandoned, census, reach


@dataclass
class Rubbish:
    """What nobody uses, with its bytes; leases with what they said. Nothing has been touched."""

    entries: dict[Path, int] = field(default_factory=dict)
    aside: dict[Path, int] = field(default_factory=dict)  # was found damaged
    scratch: dict[Path, int] = field(default_factory=dict)
    leases: dict[Path, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """The bytes of all of it."""
        return sum(sum(part.values()) for part in (self.entries, self.aside, self.scratch))


def find(root: Path, reached: set[Path], **patience: float) -> Rubbish:
    """What is in a store but not reached; a path that is reached stands for all below it.

    Takes as long as `abandoned.find` does, which is given `patience`.
    """
    folders = [census.look(path) for path in census.folders(root)[0]]
    left = abandoned.find(folders, **patience)
    rubbish = Rubbish(leases=left.leases)
    for folder in folders:
        for name, size in folder.entries.items():
            home = folder.path / name
            used = reach.is_in(reached, home.relative_to(root))
            if not used and _lease(home) not in left.in_force:
                rubbish.entries[home] = size
        aside = census.below(folder.path / damaged.FOLDER)
        rubbish.aside |= {path: census.weigh(path) for path in aside}
    rubbish.scratch = {path: census.weigh(path) for path in sorted(left.scratch)}
    return rubbish


def remove(root: Path, rubbish: Rubbish) -> tuple[list[Path], dict[Path, str]]:
    """Remove rubbish and the records of its entries: what is gone, and why the rest is not.

    What somebody has begun to use since it was found stays. So do empty folders: others may be
    about to write to them. Raises `BadInput` where a registered plan cannot be read.
    """
    now = {path for user in config.registered(root) for path in reach.of_plan(user.plan)}
    gone: list[Path] = []
    kept: dict[Path, str] = {}
    for path in (*rubbish.leases, *rubbish.scratch, *rubbish.aside, *rubbish.entries):
        place = path.relative_to(root)
        if path in rubbish.entries and (os.path.lexists(_lease(path)) or reach.is_in(now, place)):
            kept[path] = "somebody has begun to use it"
        elif path in rubbish.scratch and abandoned.leases(path.parent):
            kept[path] = "somebody has begun to work there"
        elif path in rubbish.leases and abandoned.read(path) != rubbish.leases[path]:
            kept[path] = "somebody has taken it"
        else:
            try:
                _remove(path)
                gone.append(path)
            except OSError as error:
                kept[path] = f"could not be removed ({error.strerror})"
    for folder in {path.parent for path in gone if path in rubbish.entries}:
        with suppress(OSError, BadInput):
            _remove_records(folder, {path.name for path in gone})
    return gone, kept


def _lease(home: Path) -> Path:
    return home.parent / lease.FOLDER / home.name


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_records(folder: Path, removed: set[str]) -> None:
    """Remove the records of removed entries, and the recipe of a folder that holds nothing more."""
    now, making = census.look(folder), {path.name for path in abandoned.leases(folder)}
    for name, digests in census.digests(folder).items():
        if name in removed - making - now.entries.keys():
            for sha256 in digests:
                records.path_for(folder / name, sha256).unlink(missing_ok=True)
    if not (now.entries or now.scratch or making):
        (folder / publish.RECIPE).unlink(missing_ok=True)


def told(root: Path, rubbish: Rubbish, users: Iterable[Registered]) -> str:
    """What was found and who uses the store, in words."""
    lines = []
    for folder in sorted({path.parent for path in rubbish.entries}):
        sizes = [size for path, size in rubbish.entries.items() if path.parent == folder]
        found = f"{len(sizes)} entries, {census.size(sum(sizes))}"
        lines.append(f"{folder.relative_to(root)}: {found}")
    for kind, paths in (
        ("was found damaged", rubbish.aside),
        ("was left unfinished", rubbish.scratch),
        ("is a lease whose owner is gone", rubbish.leases),
    ):
        for path in paths:
            size = f", {census.size(census.weigh(path))}"
            lines.append(f"{census.shown(path.relative_to(root))} {kind}{size}")
    lines.append(f"{len(rubbish.entries)} entries are reached by no plan.")
    for user in users:
        who = f"{user.user} on {user.host}, {user.plan.dataset} in {user.work}"
        gone = user.host == socket.gethostname() and not os.path.isdir(user.work)
        hint = f" (gone: --forget {user.path.stem})" if gone else ""
        lines.append(f"in use, {user.path.stem}: {census.shown(who)}{hint}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """List or remove what is not in use; 1 where some of it could not be."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.upkeep.prune", description=__doc__)
    parser.add_argument("--config", type=Path, nargs="+", default=[config.CONFIG])
    parser.add_argument("--delete", action="store_true", help="remove what is listed")
    parser.add_argument("--forget", metavar="NAME", help="a registered plan whose owner has left")
    given = parser.parse_args(arguments)
    try:
        return _run(given.config, given.delete, given.forget)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1


def _run(configs: list[Path], delete: bool, forgotten: str | None) -> int:
    root = census.root(configs[0])
    for path in configs:
        if census.root(path).resolve() != root.resolve():
            raise BadInput(path, f"names another store than {configs[0]}", "prune one at a time")
    users = config.registered(root)
    if forgotten:
        chosen = [user for user in users if user.path.stem == forgotten]
        if not chosen:
            raise BadInput(root, f"has no registered plan {forgotten!r}", "give one as listed")
        with filesystem.write_errors(chosen[0].path):
            chosen[0].path.unlink(missing_ok=True)
        users.remove(chosen[0])
    in_use = {path for user in users for path in reach.of_plan(user.plan)}
    for path in configs:
        found, faults = reach.of_config(path, users)
        in_use |= found
        for dataset, fault in faults.items():
            print(f"All of {dataset} is taken to be in use, as it cannot be planned: {fault}")
    rubbish = find(root, in_use)
    print(told(root, rubbish, users))
    if not delete:
        print(f"Nothing was removed: --delete would free {census.size(rubbish.bytes)}.")
        return 0
    gone, kept = remove(root, rubbish)
    for path, why in kept.items():
        print(f"{census.shown(path)} was kept: {why}")
    print(f"{len(gone)} of {len(gone) + len(kept)} were removed.")
    return 1 if kept else 0


if __name__ == "__main__":
    sys.exit(main())
