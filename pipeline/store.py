"""A store of finished entries: read-only files, each named after everything that made it.

    <store>/<dataset>/<stage>/<key>/<name>@<digest>.<suffix>

An entry that is present is whole and valid, whoever made it and whenever; so it carries no time, is
never rewritten, and the first of several makers wins. Work trees hold only links to entries.
"""

import os
import shutil
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import BadInput

if TYPE_CHECKING:  # planning must not pay for the import of zarr
    import zarr

NO_TIME = (315532800, 315532800)  # 1980-01-01, the oldest time a zip can say


def adopt(planned: Iterable[tuple[Path, Path]]) -> None:
    """Make the links of a work tree say what the store holds: (link, home) pairs.

    A planned entry that is present is linked, so it will not be made again; a link whose entry is
    absent, or that leads to another entry, is dropped, so it will be.
    """
    by_folder: dict[Path, list[tuple[Path, Path]]] = defaultdict(list)
    for link, home in planned:
        by_folder[home.parent].append((link, home))
    for folder, pairs in by_folder.items():
        try:
            present = set(os.listdir(folder))  # one look instead of one for each entry
        except FileNotFoundError:
            present = set()
        for link, home in pairs:
            if home.name in present:
                point(link, home)
            elif link.is_symlink():
                link.unlink()


@contextmanager
def place(home: Path) -> Iterator[Path]:
    """Yield a path to write a file to; it appears at `home` whole and read-only, or not at all.

    Raises `BadInput` where the store cannot be written to, or its disk is full.
    """
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=home.parent) as scratch:
            path = Path(scratch, home.name)
            yield path
            with path.open("rb") as file:
                os.fsync(file.fileno())
            path.chmod(0o444)
            forget_time(path)
            with suppress(FileExistsError):  # another maker was first
                os.link(path, home)
    except OSError as error:
        if error.filename and not str(error.filename).startswith(str(home.parent)):
            raise
        raise BadInput(
            home,
            f"the store could not be written ({error.strerror or error})",
            "free space there or set `store` to a folder where you may write",
        ) from error


@contextmanager
def group(path: Path, attributes: dict[str, Any] | None = None) -> Iterator["zarr.Group"]:
    """Yield a zarr group that is then packed into one file, equal content giving equal bytes."""
    import zarr

    with tempfile.TemporaryDirectory(dir=path.parent) as tree:
        yield zarr.create_group(zarr.storage.LocalStore(tree), attributes=attributes or {})
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as pack:
            for part in sorted(p for p in Path(tree).rglob("*") if p.is_file()):
                item = zipfile.ZipInfo(part.relative_to(tree).as_posix())
                with part.open("rb") as source, pack.open(item, "w", force_zip64=True) as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)


def read(path: Path) -> "zarr.Group":
    """Open an entry for reading, lazily: nothing but the listing is read here.

    Open it in the process that reads it: a handle that crosses a fork gives wrong data. Raises
    `BadInput` where the file is no entry.
    """
    import zarr

    try:
        return zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r")
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BadInput(
            path, f"this entry cannot be read ({error})", "remove it and run again to make it anew"
        ) from error


def point(link: Path, home: Path) -> None:
    """Make `link` a link to `home`, with no time of its own."""
    home = home.absolute()
    if not (link.is_symlink() and os.readlink(link) == str(home)):
        link.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(home)
    forget_time(link)


def forget_time(path: Path) -> None:
    """Give a file or link the time that all of them have, so that time makes nothing stale."""
    os.utime(path, NO_TIME, follow_symlinks=False)
