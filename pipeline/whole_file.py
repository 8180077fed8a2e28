"""Files that appear whole or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import BadInput


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to, in the folder of `path`, which then takes the place of `path`.

    The folder is made where there is none. Raises `BadInput` if writing fails; then `path` is as it
    was.
    """
    try:
        with replaced(path) as partial:
            yield partial
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        raise BadInput(path, what, "free space there, or name another place") from error


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """As `whole_file`, for files of ours: raises the `OSError` itself."""
    partial = path.with_name(f".partial-{uuid.uuid4().hex}")  # as scratch in a store is called
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()
