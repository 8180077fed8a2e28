"""What another store has already: it is taken over when a work tree changes to this one."""

import json
import os
import shutil
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.store import entry, publish, records

_IDENTITY = 4  # <dataset>/<stage>/<key>/<file>, by which an entry is known in every store


def bring(link: Path, home: Path) -> bool:
    """Take over the entry that `link` leads to in another store, if it is the one for `home`.

    Its bytes are compared with their record. They are shared where the file system and its rights
    allow it, and copied otherwise. False where there is none, or a damaged one: it is to be made.
    Raises `BadInput` where the store cannot be written to.
    """
    if not link.is_symlink():
        return False
    old, new = Path(os.path.abspath(link.parent / os.readlink(link))), home.absolute()
    if old == new or old.parts[-_IDENTITY:] != new.parts[-_IDENTITY:] or not entry.present(old):
        return False
    try:
        entry.check(old)
        records.check(old)
        recipe = _recipe(old.with_name(publish.RECIPE))
    except (BadInput, OSError, ValueError):  # somebody else's, unreadable or damaged
        return False
    with publish.place(home, recipe) as path:
        _share(old, path)
        if not entry.present(records.path_for(old, records.digest(path))):
            raise entry.Damaged(old, entry.MISMATCH)
    return True


def _recipe(path: Path) -> dict[str, object] | None:
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found if isinstance(found, dict) else None


def _share(old: Path, path: Path) -> None:
    try:
        if old.stat().st_uid != os.getuid():  # another's file could not be made read-only
            raise PermissionError
        os.link(old, path)
    except OSError:
        shutil.copyfile(old, path)
