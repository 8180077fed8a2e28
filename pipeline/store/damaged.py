"""Damaged entries are moved aside: kept to be looked at, and made again by the next run."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.store import entry

FOLDER = ".aside"


def move_aside(home: Path) -> Path:
    """Move what is at `home` to the folder `.aside` beside it; the new path.

    Nothing is ever deleted. Raises `BadInput` where the store may not be written to.
    """
    aside = home.parent / FOLDER / f"{home.name}.{uuid.uuid4().hex[:8]}"
    try:
        if aside.parent.is_symlink():
            raise OSError(errno.ELOOP, f"{FOLDER} beside it is a link")
        with suppress(FileNotFoundError):  # another process has done it
            aside.parent.mkdir(exist_ok=True)
            home.rename(aside)
    except OSError as error:
        raise BadInput(
            home, f"is damaged and cannot be moved ({error.strerror})", "ask its owner to move it"
        ) from error
    return aside


def own_folder(folder: Path) -> None:
    """Make a folder that the store has beside entries; what is in its place is moved aside.

    So nothing is written to where a link leads. Raises as `move_aside` does, and OSError.
    """
    if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
        move_aside(folder)
    folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def moving_aside() -> Iterator[None]:
    """Move an entry that is found damaged aside, so that the next run makes it again.

    Raises `BadInput` that says where it is now.
    """
    try:
        yield
    except entry.Damaged as error:
        aside = move_aside(error.home)
        remedy = f"it was moved to {aside}: run again" if os.path.lexists(aside) else "run again"
        raise BadInput(error.home, error.what, remedy) from error
