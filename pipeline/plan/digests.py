"""Digests of raw files: what identifies them in the store, also for those who do not have them.

The digests of a user's own download are computed once and recorded in the store: with them anybody
can plan, also on a machine without the raw data.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.progress import Progress
from pipeline.store import filesystem, records
from pipeline.whole_file import replaced

_ALL = ""  # the name of all files of a group together, which no file has
Files = Mapping[str, Mapping[str, Path]]  # group -> name -> path: the raw files of one scan


def raw_digests(
    files: Mapping[str, Files | None], records: Path, progress: str = "reading raw files"
) -> dict[str, dict[str, str]]:
    """Scan -> group -> SHA-256 over the group's files, hashing only what is not yet recorded.

    `files` gives the raw files of each scan, or None where this machine has no raw data: then the
    record decides. A file counts as known if its size, times and inode are as recorded: the
    change time shows a file that was replaced by one of equal size and modification time. Every
    scan is recorded in `records` as soon as it is read, so an interrupted run resumes there.
    Scans that are neither here nor recorded are absent from the result.
    """
    known = {scan: _read_record(records / f"{scan}.json", files[scan]) for scan in files}
    stale = {
        scan: groups
        for scan, groups in files.items()
        if groups is not None and not _is_current(known[scan], groups)
    }
    if stale:
        size = sum(
            path.stat().st_size
            for scan, groups in stale.items()
            for group, names in groups.items()
            for name, path in names.items()
            if not _recorded(known[scan], group, name, path)
        )
        with (
            Progress(desc=progress, total=size, unit="B", unit_scale=True) as bar,
            ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool,
        ):
            for scan, record in pool.map(lambda s: (s, _measure(stale[s], known[s], bar)), stale):
                _write_record(records / f"{scan}.json", record)
                known[scan] = record
    return {
        scan: {group: _combined(names) for group, names in record.items()}
        for scan, record in known.items()
        if record
    }


def digest_of(files: Files) -> dict[str, str]:
    """Group -> SHA-256 over its files, as `raw_digests`, read now and recorded nowhere."""
    read = {
        group: {name: {"sha256": records.digest(path)} for name, path in names.items()}
        for group, names in files.items()
    }
    return {group: _combined(names) for group, names in read.items()}


def _measure(groups: Files, record: Mapping[str, Any], bar: Progress) -> dict[str, dict[str, Any]]:
    return {
        group: {
            name: _recorded(record, group, name, path)
            or {**_stat(path), "sha256": hash_file(path, bar)}
            for name, path in names.items()
        }
        for group, names in groups.items()
    }


def _recorded(
    record: Mapping[str, Any], group: str, name: str, path: Path
) -> dict[str, Any] | None:
    """What is recorded of a file, if it is as it was."""
    known: dict[str, Any] = record.get(group, {}).get(name, {})
    return known if _stat(path).items() <= known.items() else None


def hash_file(path: Path, bar: Progress) -> str:
    h = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            h.update(block)
            bar.update(len(block))
    return h.hexdigest()


def _stat(path: Path) -> dict[str, int]:
    s = path.stat()
    return {"size": s.st_size, "mtime": s.st_mtime_ns, "ctime": s.st_ctime_ns, "inode": s.st_ino}


def _is_current(record: Mapping[str, Any], groups: Files) -> bool:
    return {g: set(n) for g, n in record.items()} == {g: set(n) for g, n in groups.items()} and all(
        _recorded(record, group, name, path)
        for group, names in groups.items()
        for name, path in names.items()
    )


def write_combined(path: Path, groups: Mapping[str, str]) -> None:
    """Record digests of groups that were read elsewhere; whoever has the files reads them again."""
    _write_record(path, {group: {_ALL: {"sha256": digest}} for group, digest in groups.items()})


def _combined(names: Mapping[str, Mapping[str, Any]]) -> str:
    if names.keys() == {_ALL}:
        return str(names[_ALL]["sha256"])
    listing = sorted((name, file["sha256"]) for name, file in names.items())
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def _read_record(path: Path, files: Files | None) -> dict[str, Any]:
    """What is recorded of a scan; nothing, where it cannot be read but the raw files can."""
    try:
        record = json.loads(filesystem.read_text(path))
        for names in record.values():
            _combined(names)
        return record
    except FileNotFoundError:
        return {}
    except OSError as error:
        if files is not None:
            return {}
        what = f"cannot be read ({error.strerror})"
        raise BadInput(path, what, "ask its owner for access, or set `raw`") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(path, f"is not a record of digests ({error})", "remove it") from error


def _write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Remember what was read; a store that cannot be written only makes it be read again."""
    with suppress(OSError), replaced(path) as partial:
        partial.write_text(json.dumps(record, indent=1), encoding="utf-8")
