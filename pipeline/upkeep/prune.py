"""`python -m pipeline store prune`: list, and with --delete remove, what is not in use.

In use is what the given configs need, and every plan that was registered in the store when it was
run. It stays, and so does what is being made.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.plan import registered
from pipeline.store import entry, filesystem, lease, publish, records
from pipeline.upkeep import abandoned, in_use, inventory
from pipeline.upkeep.unused import Unreachable

_IN_USE = "it is in use by now"


def common_store(configs: Sequence[Path]) -> Path:
    """The store that some configs name. Raises `BadInput` where they name several."""
    root = inventory.configured_store(configs[0])
    for path in configs:
        if inventory.configured_store(path).resolve() != root.resolve():
            what = f"names another store than {configs[0]}"
            raise BadInput(path, what, "prune one store at a time")
    return root


def forget(root: Path, name: str) -> None:
    """Remove a registered plan. Raises `BadInput` where there is none of that name."""
    chosen = [user.path for user in registered.registered(root) if user.path.stem == name]
    if not chosen:
        raise BadInput(root, f"has no registered plan {name!r}", "give a name from the list")
    with filesystem.write_errors(chosen[0]):
        chosen[0].unlink(missing_ok=True)


def remove(root: Path, unreachable: Unreachable) -> tuple[list[Path], dict[Path, str]]:
    """Remove what is not in use, and the records of its entries: what was removed, and why not all.

    What a process has begun to use since it was found stays. So do empty folders, to which others
    may be about to write. Raises `BadInput` where a registered plan cannot be read.
    """
    plans, removed, kept = in_use.Plans(root), list[Path](), dict[Path, str]()
    plans.need(root)  # so that one that cannot be read keeps everything
    scratch, leases = unreachable.scratch, unreachable.leases
    for path in (*leases, *scratch, *unreachable.damaged):
        if path in scratch and abandoned.leases(path.parent):
            kept[path] = "its folder is in use by now"
        elif path in leases and abandoned.read(path) != leases[path]:
            kept[path] = "it has been renewed"
        else:
            with _reporting(path, kept):
                _remove(path)
                removed.append(path)
    _remove_entries(plans, unreachable.entries, removed, kept)
    for folder in {path.parent for path in removed if path in unreachable.entries}:
        with suppress(OSError, BadInput):
            _remove_records(folder, {path.name for path in removed})
    return removed, kept


def _remove_entries(
    plans: in_use.Plans, entries: Iterable[Path], removed: list[Path], kept: dict[Path, str]
) -> None:
    """Move entries away, look again at the plans, and remove or put back each.

    A run registers before it looks for entries. So a run that found one had registered by the
    second look; any later run misses it, and makes it again.
    """
    moved: dict[Path, Path] = {}
    name = f"{entry.SCRATCH}{uuid.uuid4().hex}"  # if this process is killed, scratch is left
    try:
        for home in entries:
            with _reporting(home, kept):
                if _is_needed(plans, home):
                    kept[home] = _IN_USE
                else:
                    moved[home] = _move_away(home, name)
        for home, path in moved.items():
            with _reporting(home, kept):
                if _is_needed(plans, home):
                    kept[home] = _IN_USE
                else:
                    _remove(path)
                    removed.append(home)
    finally:
        for home in moved.keys() - set(removed):
            with suppress(OSError):  # such as one that was made again
                filesystem.publish(moved[home], home)
        for home, path in moved.items():
            if path != home and entry.present(home):
                path.unlink(missing_ok=True)
            with suppress(OSError):
                home.with_name(name).rmdir()


def _is_needed(plans: in_use.Plans, home: Path) -> bool:
    return plans.need(home) or os.path.lexists(lease.path_for(home))


def _move_away(home: Path, name: str) -> Path:
    """Move an entry to the folder `name` beside it; not where the disk is too full for that."""
    folder = home.with_name(name)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return home
    with suppress(FileNotFoundError):  # removed just now
        home.rename(folder / home.name)
    return folder / home.name


@contextmanager
def _reporting(path: Path, kept: dict[Path, str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kept[path] = f"could not be removed ({error.strerror})"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_records(folder: Path, removed: set[str]) -> None:
    """Remove the records of removed entries, and the recipe of a folder that is now empty."""
    now, making = inventory.list_folder(folder), {path.name for path in abandoned.leases(folder)}
    for name, digests in records.digests_by_entry(folder).items():
        if name in removed - making - now.entries.keys():
            for sha256 in digests:
                records.path_for(folder / name, sha256).unlink(missing_ok=True)
    if not (now.entries or now.scratch or making):
        (folder / publish.RECIPE).unlink(missing_ok=True)
