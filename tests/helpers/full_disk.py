"""A disk that is full, or refuses writes, from a chosen moment on."""

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CALLS = ("mkdir", "fsync", "link", "rename", "replace", "symlink", "pwrite", "open")


class Disk:
    """Counts the calls that take space below a folder, and fails from the `full_at`-th on.

    Files are counted when they are made and whenever their buffers are written.
    """

    def __init__(self, folder: Path, full_at: int, error: int, lasting: bool) -> None:
        self.folder, self.full_at, self.error, self.lasting = folder, full_at, error, lasting
        self.taken = 0

    def take(self, *paths: Any) -> None:
        self.taken += 1
        if self.taken == self.full_at or (self.lasting and self.taken > self.full_at):
            where = (str(paths[0]), None, str(paths[-1])) if paths else ()
            raise OSError(self.error, os.strerror(self.error), *where)

    def contains(self, path: Any) -> bool:
        known = isinstance(path, str | os.PathLike)
        return known and Path(path).absolute().is_relative_to(self.folder)

    def call(self, name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def counted(*given: Any, **named: Any) -> Any:
            paths = [path for path in given if not isinstance(path, int | bytes)]
            is_free = name == "open" and not given[1] & os.O_CREAT
            is_free |= name == "mkdir" and os.path.isdir(given[0])
            if not is_free and (not paths or self.contains(paths[-1])):
                self.take(*paths)
            return real(*given, **named)

        return counted

    def open(self, real: Callable[..., Any]) -> Callable[..., Any]:
        disk = self

        class File(io.FileIO):
            def write(self, content: Any) -> int:
                disk.take()
                return super().write(content)

        def opened(path: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
            if not disk.contains(path) or not set(mode) & set("wxa+"):
                return real(path, mode, *given, **named)
            disk.take(path)
            buffered = io.BufferedRandom if "+" in mode else io.BufferedWriter
            file = buffered(File(os.fspath(path), mode.replace("b", "").replace("t", "")))
            return file if "b" in mode else io.TextIOWrapper(file, named.get("encoding"))

        return opened


@contextmanager
def full_disk(
    folder: Path, full_at: int = 1, error: int = errno.ENOSPC, lasting: bool = True
) -> Iterator[Disk]:
    """Let the disk below `folder` be full, or raise another error, once or from then on."""
    disk = Disk(folder.absolute(), full_at, error, lasting)
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, disk.call(name))
        opened = disk.open(builtins.open)
        patch.setattr(builtins, "open", opened)
        patch.setattr(io, "open", opened)
        yield disk
