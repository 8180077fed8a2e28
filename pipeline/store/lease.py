"""Leases: of all who want the same entry, one makes it and the others wait for it.

A lease is a file beside the entries. Its holder writes a rising number into it for as long as it
works. It has died where its process is gone from this machine, or where the number has stood still
for `PATIENCE` seconds by the waiting process's own clock: neither file times nor locks nor the
clocks of other machines take part. A lease saves work and guards nothing; should two hold one, both
make the entry, and the first wins.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

from pipeline.store import entry, store

FOLDER = ".leases"
BEAT = 5.0  # seconds
PATIENCE = 90.0  # seconds


class Leases:
    """The leases that one process takes and watches."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[str, float]] = {}  # what a lease said, and since when

    @contextmanager
    def take(self, home: Path) -> Iterator[bool]:
        """Yield whether this process is the one that may make `home` now.

        Raises `BadInput` where the store cannot be written to, or its disk is full.
        """
        path = home.parent / FOLDER / home.name
        with store.writing(home):
            file = self._open(path)
        if file is None:
            yield False
            return
        _beat(file, 0)  # a holder that dies at once is known, too
        done = threading.Event()
        beats = threading.Thread(target=_keep_beating, args=(file, done), daemon=True)
        beats.start()
        try:
            yield True
        finally:
            done.set()
            beats.join()
            with suppress(OSError):
                if os.fstat(file).st_ino == path.stat().st_ino:
                    path.unlink()
            os.close(file)

    def _open(self, path: Path) -> int | None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        said = _said(path)
        if said is not None and self._is_dead(path, said):
            _remove(path, said)
        return None

    def _is_dead(self, path: Path, said: str) -> bool:
        before, since = self._seen.get(path, (None, 0.0))
        if before != said:
            self._seen[path] = (said, time.monotonic())
            since = time.monotonic()
        return is_gone(said.partition("\n")[2]) or time.monotonic() - since > PATIENCE


def whoami() -> str:
    """This process, as no other one is called: JSON of machine, id and time of its start."""
    return json.dumps({"machine": _machine(), "pid": os.getpid(), "start": _start(os.getpid())})


def is_gone(who: str) -> bool:
    """Whether a process that called itself `who` ran on this machine and does not any more."""
    try:
        said = json.loads(who)
        return said["machine"] == _machine() and _start(said["pid"]) != said["start"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


def _keep_beating(file: int, done: threading.Event) -> None:
    for number in count(1):
        if done.wait(BEAT):
            return
        _beat(file, number)


def _beat(file: int, number: int) -> None:
    with suppress(OSError):  # on a full disk the holder is only known by its beat's absence
        os.pwrite(file, f"{number:020d}\n{whoami()}".encode(), 0)


def _said(path: Path) -> str | None:
    """What a lease says: nothing where it is no file to be read, None where there is none."""
    try:
        if not entry.present(path):
            return "" if os.path.lexists(path) else None
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError:
        return ""


def _remove(path: Path, said: str) -> None:
    """Take a dead lease away, unless another has taken it meanwhile."""
    grave = path.with_name(f".dead-{uuid.uuid4().hex}")
    with suppress(FileNotFoundError):  # it has been given back just now
        path.rename(grave)
        with suppress(OSError):
            if _said(grave) != said:  # not the dead one: another was faster
                os.link(grave, path)
        with suppress(OSError):
            grave.unlink()


@cache
def _machine() -> str:
    """The running system and its process numbers, in which containers differ."""
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{socket.gethostname()} {boot}"


def _start(pid: int) -> str:
    """When the process started, in ticks since the system did; "" where it does not run."""
    state = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()  # from the third field on
    return state[19] if len(state) > 19 and state[0] not in "ZX" else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
