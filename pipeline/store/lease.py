"""Leases: one process makes an entry, and the others that want it wait.

A lease is a file beside the entries. Its holder writes a rising number into it while it works. The
lease is dead if the holder's process has ended on this machine, or if the number has not changed
for `PATIENCE` seconds by the waiting process's own clock: neither file times nor locks nor the
clocks of other machines are used. A lease saves work and guarantees nothing; should two processes
have one, both make the entry, and the first to publish it wins.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

from pipeline.store import damaged, entry, filesystem

FOLDER = ".leases"
BEAT = 5.0  # seconds between two writes of the holder
PATIENCE = 90.0  # seconds without a change after which a lease is dead


class Leases:
    """The leases that one process takes and watches.

    `beat` and `patience` are in seconds; `clock` is what patience is measured by.
    """

    def __init__(
        self,
        beat: float = BEAT,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._beat, self._patience, self._clock = beat, patience, clock
        self._seen: dict[Path, tuple[str, float]] = {}  # content of a lease, and since when

    @contextmanager
    def take(self, home: Path) -> Iterator[bool]:
        """Yield whether this process may make `home` now; False while another one does.

        Raises `BadInput` where the store cannot be written to, or its disk is full.
        """
        path = path_for(home)
        with filesystem.write_errors(home):
            file = self._open(path)
        if file is None:
            yield False
            return
        _write(file, 0)  # now, so that a holder that dies before its first beat is known, too
        done = threading.Event()
        beats = threading.Thread(target=_keep_beating, args=(file, done, self._beat), daemon=True)
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
        damaged.own_folder(path.parent)
        with suppress(FileExistsError):
            return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        content = _read_lease(path)
        if content is not None and self._is_dead(path, content):
            remove_dead(path, content)
        return None

    def _is_dead(self, path: Path, content: str) -> bool:
        before, since = self._seen.get(path, (None, 0.0))
        now = self._clock()
        if before != content:
            self._seen[path] = (content, now)
            since = now
        return is_gone(holder(content)) or now - since > self._patience


def path_for(home: Path) -> Path:
    """Where the lease of an entry is."""
    return home.parent / FOLDER / home.name


def holder(content: str) -> str:
    """The identity of the process that has a lease with this content."""
    return content.partition("\n")[2]


def process_identity() -> str:
    """What identifies this process among all others: JSON of machine, process id and start time."""
    return json.dumps({"machine": _machine(), "pid": os.getpid(), "start": _start(os.getpid())})


def is_gone(identity: str) -> bool:
    """Whether the process of that identity ran on this machine and has ended."""
    try:
        known = json.loads(identity)
        return known["machine"] == _machine() and _start(known["pid"]) != known["start"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


def remove_dead(path: Path, content: str) -> None:
    """Remove a dead lease with that content, unless another process has taken it meanwhile."""
    stale = path.with_name(f".dead-{uuid.uuid4().hex}")
    with suppress(FileNotFoundError):  # its holder has just returned it
        path.rename(stale)
        with suppress(OSError):
            if _read_lease(stale) != content:  # not the dead one: another process was faster
                filesystem.publish(stale, path)
        with suppress(OSError):
            stale.unlink()


def _keep_beating(file: int, done: threading.Event, beat: float) -> None:
    for number in count(1):
        if done.wait(beat):
            return
        _write(file, number)


def _write(file: int, number: int) -> None:
    with suppress(OSError):  # on a full disk the number just stops rising
        os.pwrite(file, f"{number:020d}\n{process_identity()}".encode(), 0)


def _read_lease(path: Path) -> str | None:
    """The content of a lease: "" where it cannot be read as a file, None where there is none."""
    try:
        if not entry.present(path):
            return "" if os.path.lexists(path) else None
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError:
        return ""


@cache
def _machine() -> str:
    """The host, its boot and the process namespace, which differs between containers."""
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
