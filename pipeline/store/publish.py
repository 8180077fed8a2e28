"""How an entry gets into the store: written in scratch, then published whole or not at all."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.store import entry, filesystem, first_use, records
from pipeline.store.damaged import move_aside, own_folder
from pipeline.store.usage import Use

RECIPE = "recipe.json"


@contextmanager
def place(
    home: Path, recipe: Mapping[str, Any] | None = None, seconds: float | None = None
) -> Iterator[Path]:
    """Yield a path to write a file to; it appears at `home` whole and read-only, or not at all.

    A record of its bytes and of what it took (`usage.Use`; `seconds` alone where it was made
    elsewhere) is written beside it, and `recipe` if the folder has none. Raises `BadInput` where
    the store cannot be written to, or its disk is full.
    """
    use = Use()
    with filesystem.write_errors(home):
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=entry.SCRATCH, dir=home.parent, ignore_cleanup_errors=True
        ) as scratch:
            path = Path(scratch, home.name)
            yield path
            sha256 = records.digest(path)
            took = use.so_far() if seconds is None else {"seconds": seconds}
            record: dict[str, Any] = {"bytes": path.stat().st_size, **took}
            if home.suffix == ".zip" and path.stat().st_size > first_use.SMALL:
                record["listing"] = entry.listing(path)
            if recipe is not None:
                _publish_json(recipe, Path(scratch, RECIPE), home.with_name(RECIPE))
            # Before the entry, so that none lacks a record; of two makers both have one.
            _publish_json(record, Path(scratch, "record"), records.path_for(home, sha256))
            _publish(path, home)


def _publish_json(content: Mapping[str, Any], scratch: Path, final: Path) -> None:
    if not entry.present(final):
        scratch.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
        own_folder(final.parent)
        _publish(scratch, final)


def _publish(path: Path, final: Path) -> None:
    """Let a finished file appear at `final`, read-only; the first of several makers wins."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.chmod(path.stat().st_mode & 0o444)
    filesystem.reset_time(path)
    if os.path.lexists(final) and not entry.present(final):  # a folder, or a link to elsewhere
        move_aside(final)
    with suppress(FileExistsError):  # another maker was first
        filesystem.publish(path, final)
