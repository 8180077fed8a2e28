"""A store of finished entries: read-only files, each named after everything that made it.

    <store>/<dataset>/<stage>/<key>/<name>@<digest>.<suffix>    an entry
    <store>/<dataset>/<stage>/<key>/recipe.json                 what its key stands for
    <store>/<dataset>/<stage>/<key>/.records/                   digests, sizes and times of entries
    <store>/<dataset>/<stage>/<key>/.leases/                    what is being made, and by whom
    <store>/<dataset>/<stage>/<key>/.aside/                     entries that were found damaged

An entry that is present is whole and valid, whoever made it and whenever; so it carries no time, is
never rewritten, and the first of several makers wins. Work trees hold only links to entries.
"""

import asyncio
import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import BadInput
from pipeline.store import entry

if TYPE_CHECKING:  # planning must not pay for the import of zarr
    import zarr

NO_TIME = (315532800, 315532800)  # 1980-01-01, the oldest time a zip can say
RECIPE, RECORDS, ASIDE = "recipe.json", ".records", ".aside"
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


def adopt(planned: Iterable[tuple[Path, Path]]) -> None:
    """Make the links of a work tree say what the store holds: (link, home) pairs.

    A planned entry that is present is linked, so it will not be made again; a link whose entry is
    absent, or that leads to another entry, is dropped, so it will be.
    """
    by_folder: dict[Path, list[tuple[Path, Path]]] = defaultdict(list)
    for link, home in planned:
        by_folder[home.parent].append((link, home))
    for folder, pairs in by_folder.items():
        with _looking(folder) as found:  # one look instead of one for each entry
            present = {item.name for item in found if item.is_file(follow_symlinks=False)}
        for link, home in pairs:
            if home.name in present:
                point(link, home)
            elif link.is_symlink():
                link.unlink()


def names(folder: Path) -> Iterator[str]:
    """The regular files and folders in a folder of the store; what is a link there is none."""
    with _looking(folder) as found:
        yield from (item.name for item in found if not item.is_symlink())


@contextmanager
def _looking(folder: Path) -> Iterator[Iterable[os.DirEntry[str]]]:
    """Yield what is in a folder, nothing where it is none; raises `BadInput` if it is closed."""
    try:
        found = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        yield ()
    except OSError as error:
        what = f"cannot be looked into ({error.strerror})"
        raise BadInput(folder, what, "ask its owner to open it to you") from error
    else:
        with found:
            yield found


@contextmanager
def place(home: Path, recipe: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Yield a path to write a file to; it appears at `home` whole and read-only, or not at all.

    What was made, and how long it took, is recorded beside it, and `recipe` for its folder. Raises
    `BadInput` where the store cannot be written to, or its disk is full.
    """
    begin = time.monotonic()
    with writing(home):
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=entry.SCRATCH, dir=home.parent, ignore_cleanup_errors=True
        ) as scratch:
            path = Path(scratch, home.name)
            yield path
            sha256 = digest(path)
            seconds = round(time.monotonic() - begin, 3)
            facts = {"bytes": path.stat().st_size, "seconds": seconds}
            if recipe is not None:
                _publish_json(recipe, Path(scratch, RECIPE), home.with_name(RECIPE))
            # Before the entry, which never stands without a record; of two makers both have one.
            _publish_json(facts, Path(scratch, "record"), record(home, sha256))
            _publish(path, home)


@contextmanager
def writing(home: Path) -> Iterator[None]:
    """Say `BadInput` where the folder of `home` cannot be written to, or its disk is full."""
    try:
        yield
    except OSError as error:
        if not _is_of_writing(error, home.parent.absolute()):
            raise
        raise BadInput(
            home,
            f"could not be written ({error.strerror or error})",
            "free space there, or set `store` and `work` to folders where you may write",
        ) from error


def _is_of_writing(error: OSError, folder: Path) -> bool:
    """Whether the system said so of a path in `folder`, or above it, or of an open file."""
    where = error.filename2 or error.filename  # the latter is what a link leads to
    if error.errno is None or where is None:
        return error.errno is not None  # libraries raise it without a number, of what they read
    path = Path(os.fsdecode(where)).absolute() if isinstance(where, str | bytes) else folder
    return path.is_relative_to(folder) or folder.is_relative_to(path)


def record(home: Path, sha256: str) -> Path:
    """Where it is recorded that an entry with these bytes was made."""
    return home.parent / RECORDS / f"{home.name}.{sha256}.json"


def records(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Entry -> digest of its bytes -> size and seconds, as recorded in a folder of entries."""
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for name in names(folder / RECORDS):
        made, sha256 = name.removesuffix(".json").rpartition(".")[::2]
        with suppress(OSError, ValueError):
            found[made][sha256] = json.loads((folder / RECORDS / name).read_text(encoding="utf-8"))
    return found


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_recorded(home: Path) -> None:
    """Raise `Damaged` unless the bytes of the entry are as recorded when it was made."""
    if not entry.present(record(home, digest(home))):
        raise entry.Damaged(home, "has not the bytes that it was made with")


def set_aside(home: Path) -> Path:
    """Move what is at `home` out of the way, to be looked at; nothing is ever deleted here.

    Raises `BadInput` where the store may not be written to.
    """
    aside = home.parent / ASIDE / f"{home.name}.{uuid.uuid4().hex[:8]}"
    try:
        with suppress(FileNotFoundError):  # another has done it
            aside.parent.mkdir(exist_ok=True)
            home.rename(aside)
    except OSError as error:
        raise BadInput(
            home, f"is no sound entry and cannot be moved ({error.strerror})", "ask its owner to"
        ) from error
    return aside


@contextmanager
def group(path: Path, attributes: dict[str, Any] | None = None) -> Iterator["zarr.Group"]:
    """Yield a zarr group that is then packed into one file, equal content giving equal bytes."""
    import zarr
    from zarr.core.sync import sync

    with tempfile.TemporaryDirectory(dir=path.parent) as tree:
        try:
            yield zarr.create_group(zarr.storage.LocalStore(tree), attributes=attributes or {})
        except BaseException:
            sync(_others_to_end())
            raise
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as pack:
            for part in sorted(p for p in Path(tree).rglob("*") if p.is_file()):
                item = zipfile.ZipInfo(part.relative_to(tree).as_posix())
                with part.open("rb") as source, pack.open(item, "w", force_zip64=True) as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
            pack.comment = entry.seal(path, pack)


async def _others_to_end() -> None:
    """Of chunks that zarr writes at once, the rest goes on when one has failed: let it, and only
    then remove their folder, which they would make again."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


def read(path: Path) -> "zarr.Group":
    """Open an entry for reading, lazily: nothing but the listing is read here.

    Open it in the process that reads it: a handle that crosses a fork gives wrong data. Raises
    `BadInput` where the file is not the entry that its place says.
    """
    import zarr

    entry.check(path)
    source = zarr.storage.ZipStore(path, mode="r")
    return zarr.open_group(source, mode="r", zarr_format=3, use_consolidated=False)


def point(link: Path, home: Path) -> None:
    """Make `link` a link to `home`, with no time of its own.

    Raises `BadInput` where the work tree cannot be written to, or its disk is full.
    """
    home = home.absolute()
    with writing(link):
        if not (link.is_symlink() and os.readlink(link) == str(home)):
            link.parent.mkdir(parents=True, exist_ok=True)
            new = link.with_name(f"{entry.SCRATCH}{uuid.uuid4().hex}")
            try:
                new.symlink_to(home)
                new.replace(link)  # at once, since another may make the same link
            except OSError:
                new.unlink(missing_ok=True)
                raise
        forget_time(link)


def show_latest(results: Path) -> None:
    """Let `latest` beside a folder of results lead to it, or to nothing until it is there."""
    latest = results.parent / "latest"
    if results.is_dir():
        point(latest, results)
    elif latest.is_symlink():
        latest.unlink()


def forget_time(path: Path) -> None:
    """Give a file or link the time that all of them have, so that time makes nothing stale."""
    os.utime(path, NO_TIME, follow_symlinks=False)


def _publish_json(content: Mapping[str, Any], scratch: Path, final: Path) -> None:
    if not entry.present(final):
        scratch.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
        final.parent.mkdir(exist_ok=True)
        _publish(scratch, final)


def _publish(path: Path, final: Path) -> None:
    """Let a finished file appear at `final`, read-only; the first of several makers wins."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.chmod(path.stat().st_mode & 0o444)
    forget_time(path)
    if os.path.lexists(final) and not entry.present(final):  # a folder, or a link to elsewhere
        set_aside(final)
    try:
        os.link(path, final)
    except FileExistsError:  # another maker was first
        pass
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links: a rename is as atomic, though the last maker wins.
        if not entry.present(final):
            os.rename(path, final)
