"""What is in a store, by the listings of its folders: no entry is opened here."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.plan import config
from pipeline.plan.making import store_of
from pipeline.store import damaged, entry, lease, publish, records

_LEVELS = (r"[\w-]+", r"(?!raw$)[\w-]+", r"[0-9a-f]{12}")  # `raw` has the digests of raw files
_ENTRY = re.compile(r"[\w-]+@[0-9a-f]+\.(zarr\.zip|safetensors|json)")
_OWN = (records.FOLDER, damaged.FOLDER, lease.FOLDER)
_REMOVED = ".nfs"  # NFS renames a removed file to this while a process reads it


@dataclass(frozen=True)
class Folder:
    """What is in one folder of entries, <store>/<dataset>/<stage>/<key>."""

    path: Path
    entries: dict[str, int] = field(default_factory=dict)  # regular files, and their bytes
    scratch: list[Path] = field(default_factory=list)  # what is being made, or was left behind
    foreign: dict[Path, str] = field(default_factory=dict)  # no entry -> what is wrong


def configured_store(path: Path = config.CONFIG) -> Path:
    """The store that a config names. Raises `BadInput` for a bad config."""
    return Path(store_of(config.load(path)))


def folders(root: Path, dataset: str | None = None) -> tuple[list[Path], list[Path]]:
    """The folders of entries, and the links in the place of such a folder or of one above it.

    Raises `BadInput` where there is no store.
    """
    if not root.is_dir():
        raise BadInput(root, "there is no such folder", "give the path of the store")
    found, links = [root], []
    for names in (re.escape(dataset) if dataset else _LEVELS[0], *_LEVELS[1:]):
        below = [item for folder in found for item in _listing(folder)]
        below = [item for item in below if re.fullmatch(names, item.name)]
        below.sort(key=lambda item: item.path)
        links += [Path(item.path) for item in below if item.is_symlink()]
        found = [Path(item.path) for item in below if item.is_dir(follow_symlinks=False)]
    for folder in found:
        if (folder.parent.parent / "plan.json").exists():
            remedy = "give the path of the store that its links lead to"
            raise BadInput(root, "this is a work tree, not a store", remedy)
    return found, links


def list_folder(folder: Path) -> Folder:
    """What is in a folder of entries. Raises `BadInput` where it cannot be read."""
    seen = Folder(folder)
    for item in sorted(_listing(folder), key=lambda item: item.name):
        path, name = Path(item.path), item.name
        is_file, is_folder = (t(follow_symlinks=False) for t in (item.is_file, item.is_dir))
        if name.startswith(_REMOVED):
            continue
        if name in _OWN or name.startswith(entry.SCRATCH):
            if not is_folder:
                seen.foreign[path] = "is not a folder"
            elif name not in _OWN:
                seen.scratch.append(path)
        elif name != publish.RECIPE and not _ENTRY.fullmatch(name):
            seen.foreign[path] = "has a name that is not allowed"
        elif not is_file:
            seen.foreign[path] = "is a link" if item.is_symlink() else "is not a file"
        elif name != publish.RECIPE:
            with suppress(FileNotFoundError):
                seen.entries[name] = item.stat(follow_symlinks=False).st_size
    return seen


def list_subfolder(folder: Path) -> list[Path]:
    """The paths in a folder beside entries, such as `.leases`; none if it does not exist."""
    if folder.is_symlink():
        return []
    return sorted(Path(item.path) for item in _listing(folder))


def total_size(path: Path) -> int:
    """The bytes of a file, or of all files in a folder; no link is followed."""
    return sum(size for _, size, _ in snapshot(path))


def snapshot(path: Path) -> frozenset[tuple[str, int, int]]:
    """Path, size and time of each file in a folder, or of the one file: equal while unchanged."""
    files = [path] if not path.is_dir() or path.is_symlink() else list(_files(path))
    found = set()
    for file in files:
        with suppress(FileNotFoundError):
            status = file.lstat()
            found.add((str(file), status.st_size, status.st_mtime_ns))
    return frozenset(found)


def printable(text: str | Path) -> str:
    """A text that may come from a store, with all that could control a terminal escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def _files(folder: Path) -> Iterator[Path]:
    for above, _, names in os.walk(folder):
        yield from (Path(above, name) for name in names)


def _listing(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):  # removed just now, or never there
        return []
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise BadInput(folder, what, "ask its owner for access") from error
