"""Damaged entries are moved aside: kept to be looked at, and made again by the next run."""

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
        with suppress(FileNotFoundError):  # another process has done it
            aside.parent.mkdir(exist_ok=True)
            home.rename(aside)
    except OSError as error:
        raise BadInput(
            home, f"is damaged and cannot be moved ({error.strerror})", "ask its owner to move it"
        ) from error
    return aside


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
