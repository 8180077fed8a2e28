"""Folders and times of files, with what the file system refuses reported as `BadInput`."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import BadInput

_NO_LINKS = (
    *(errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS),
    *(errno.EMLINK, errno.EXDEV, errno.EINVAL),
)  # what file systems without hard links, or without some, are known to say
_NOREPLACE, _HERE = 1, -100  # RENAME_NOREPLACE and AT_FDCWD of renameat2(2)
NO_TIME = (315532800, 315532800)  # 1980-01-01, the oldest time that a zip can state


def list_names(folder: Path) -> Iterator[str]:
    """The regular files and folders in a folder of the store; links there are left out.

    Yields nothing if there is no such folder. Raises `BadInput` if it may not be listed.
    """
    with scan(folder) as found:
        yield from (item.name for item in found if not item.is_symlink())


@contextmanager
def scan(folder: Path) -> Iterator[Iterable[os.DirEntry[str]]]:
    """Yield the items of a folder, none if it does not exist.

    Raises `BadInput` if it may not be listed.
    """
    try:
        found = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        yield ()
    except OSError as error:
        what = f"cannot be listed ({error.strerror})"
        raise BadInput(folder, what, "ask its owner for access") from error
    else:
        with found:
            yield found


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of writing to the folder of `path` into `BadInput` about `path`.

    Such as: no permission, or a full disk. An OSError about any other place is raised as it is.
    """
    try:
        yield
    except OSError as error:
        if not _is_about(error, path.parent.absolute()):
            raise
        raise BadInput(
            path,
            f"could not be written ({error.strerror or error})",
            "free space there, or set `store` and `work` to folders where you may write",
        ) from error


def _is_about(error: OSError, folder: Path) -> bool:
    """Whether an error is about a path in `folder`, or above it, or about an open file."""
    where = error.filename2 or error.filename  # the latter is what a link leads to
    if error.errno is None or where is None:
        return error.errno is not None  # libraries raise it without a number, for what they read
    path = Path(os.fsdecode(where)).absolute() if isinstance(where, str | bytes) else folder
    return path.is_relative_to(folder) or folder.is_relative_to(path)


def read_text(path: Path) -> str:
    """The text of a file. Raises OSError where there is another thing: a pipe would block."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return path.read_text(encoding="utf-8")


def publish(path: Path, final: Path) -> None:
    """Let a finished file appear at `final` as a whole, unless something is there.

    Where the file system has no hard links it is renamed, and `path` is gone. Raises
    `FileExistsError` where something is there.
    """
    try:
        os.link(path, final)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _rename_to_new(path, final)


def _rename_to_new(path: Path, final: Path) -> None:
    """Rename without replacing: by Linux itself, or after a look where it or the disk cannot."""
    import ctypes  # planning must not pay for it

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None:
        if rename(_HERE, os.fsencode(path), _HERE, os.fsencode(final), _NOREPLACE) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise OSError(code, os.strerror(code), str(path), None, str(final))
    if os.path.lexists(final):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path), None, str(final))
    os.rename(path, final)


def reset_time(path: Path) -> None:
    """Give a file or link the one time that all of them have, so that time makes nothing stale."""
    os.utime(path, NO_TIME, follow_symlinks=False)
