"""Reading files in a process of its own that has limits of memory and time."""

import multiprocessing
import os
import resource
import signal
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from pipeline.errors import BadInput

Outcome = Literal["valid", "refused", "traceback", "hang", "memory"]
SECONDS = 5.0  # for a file
TIMES, BASE = 10, 256 << 20  # bytes of address space beyond those at the beginning
Read = Callable[[Path], object]


class Worker:
    """A process that reads one folder after another; it is replaced where it hangs or ends."""

    def __init__(self, reads: dict[str, Read]) -> None:
        self._reads = reads
        self._start()

    def __call__(self, kind: str, folder: Path, size: int) -> tuple[Outcome, str]:
        """What comes of reading a folder whose damaged file has `size` bytes, and what was said."""
        self._pipe.send((kind, folder, size))
        if self._pipe.poll(SECONDS):
            try:
                found: tuple[Outcome, str] = self._pipe.recv()
                return found
            except EOFError:
                self.close()
                what = f"the process ended with {self._process.exitcode}"
                self._start()
                return "memory" if "-9" in what else "traceback", what
        self.close()
        self._start()
        return "hang", f"longer than {SECONDS:g} s"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._reads), daemon=True)
        self._process.start()
        theirs.close()


def _serve(pipe: Connection, reads: dict[str, Read]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    while True:
        kind, folder, size = pipe.recv()
        now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (now + BASE + TIMES * size, hard))
        outcome = outcome_of(reads[kind], folder)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        pipe.send(outcome)


def outcome_of(read: Read, folder: Path) -> tuple[Outcome, str]:
    """What comes of reading a folder, and what was said."""
    try:
        read(folder)
    except BadInput as error:
        sentence = str(error)
        if "allocate" in sentence or "MemoryError" in sentence:
            return "memory", sentence
        if "\n" in sentence or os.fspath(folder) not in sentence:
            return "traceback", f"not one sentence that names the file: {sentence}"
        return "refused", sentence
    except MemoryError as error:
        return "memory", repr(error)
    except BaseException as error:
        return "traceback", f"{type(error).__name__}: {error}"[:300]
    return "valid", ""
