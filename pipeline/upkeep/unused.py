"""What is in a store but not in use: entries that no plan needs, and what was left or damaged."""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.plan.registered import Registered
from pipeline.store import damaged, lease
from pipeline.tables import format_bytes
from pipeline.upkeep import abandoned, in_use, inventory


@dataclass
class Unreachable:
    """What is not in use, with its bytes; leases with their contents. Nothing is removed yet."""

    entries: dict[Path, int] = field(default_factory=dict)
    damaged: dict[Path, int] = field(default_factory=dict)  # was moved aside
    scratch: dict[Path, int] = field(default_factory=dict)
    leases: dict[Path, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """The sum of all bytes."""
        return sum(sum(part.values()) for part in (self.entries, self.damaged, self.scratch))


def find(
    root: Path,
    used: set[Path],
    pause: float = abandoned.PAUSE,
    patience: float = lease.PATIENCE,
) -> Unreachable:
    """What is in a store but not in use; each path of `used` includes all below it.

    `pause` and `patience` as for `abandoned.find`, which decides how long this takes.
    """
    folders = [inventory.list_folder(path) for path in inventory.folders(root)[0]]
    left = abandoned.find(folders, pause, patience)
    unreachable = Unreachable(leases=left.leases)
    for folder in folders:
        for name, size in folder.entries.items():
            home = folder.path / name
            needed = in_use.contains(used, home.relative_to(root))
            if not needed and lease.path_for(home) not in left.in_force:
                unreachable.entries[home] = size
        aside = inventory.list_subfolder(folder.path / damaged.FOLDER)
        unreachable.damaged |= {path: inventory.total_size(path) for path in aside}
    unreachable.scratch = {path: inventory.total_size(path) for path in sorted(left.scratch)}
    return unreachable


def format_report(root: Path, unreachable: Unreachable, users: Iterable[Registered]) -> str:
    """What was found and who uses the store, a line each."""
    lines = []
    for folder in sorted({path.parent for path in unreachable.entries}):
        sizes = [size for path, size in unreachable.entries.items() if path.parent == folder]
        found = f"{len(sizes)} entries, {format_bytes(sum(sizes))}"
        lines.append(f"{folder.relative_to(root)}: {found}")
    for kind, paths in (
        ("was damaged", unreachable.damaged),
        ("was left unfinished", unreachable.scratch),
        ("is a lease of a dead process", unreachable.leases),
    ):
        for path in paths:
            size = f", {format_bytes(inventory.total_size(path))}"
            lines.append(f"{inventory.printable(path.relative_to(root))} {kind}{size}")
    lines.append(f"{len(unreachable.entries)} entries are in no plan in use.")
    for user in users:
        who = f"{user.user} on {user.host}, {user.plan.dataset} in {user.work}"
        gone = user.host == socket.gethostname() and not os.path.isdir(user.work)
        hint = f" (gone: --forget {user.path.stem})" if gone else ""
        lines.append(f"in use, {user.path.stem}: {inventory.printable(who)}{hint}")
    return "\n".join(lines)
