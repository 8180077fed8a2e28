"""Which GPUs of this machine a job uses: as many as it asks for, that no other job has."""

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from pipeline.plan import machine

WAIT = 1.0  # seconds between two looks at whether a GPU is free


@contextmanager
def taken(count: int, folder: Path | None = None, wait: float = WAIT) -> Iterator[list[str]]:
    """Take GPUs, once they are free, and let CUDA see no others while the context is open.

    Yields their names. Jobs of Slurm and machines with one GPU have nothing to choose from. A lock
    in `folder` (that of temporary files) says that a GPU is taken; it goes with its process.
    """
    names = machine.gpu_names()
    if "SLURM_JOB_ID" in os.environ or len(names) < 2 or not count:
        yield names
        return
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    with ExitStack() as locks:
        found = _take(names, min(count, len(names)), folder, wait, locks)
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(found)
        try:
            yield found
        finally:
            if before is None:
                del os.environ["CUDA_VISIBLE_DEVICES"]
            else:
                os.environ["CUDA_VISIBLE_DEVICES"] = before


def _take(
    names: list[str], count: int, folder: Path | None, wait: float, locks: ExitStack
) -> list[str]:
    """Take all or none, so that two jobs cannot wait for each other."""
    announced = False
    while True:
        with ExitStack() as tried:
            found = []
            for name in names:
                file = tried.enter_context(_open(folder or Path(tempfile.gettempdir()), name))
                with suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    found.append(name)
                if len(found) == count:
                    locks.push(tried.pop_all())
                    return found
        if not announced:
            print(f"waiting until {count} of {len(names)} GPUs are free", file=sys.stderr)
            announced = True
        time.sleep(wait)


def _open(folder: Path, name: str) -> TextIO:
    """The file of a GPU; one that another user has made may only be read."""
    path = folder / f"vlg3d-gpu-{name.replace('/', '_')}.lock"
    with suppress(FileNotFoundError):
        return path.open(encoding="utf-8")
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o644))
    return path.open(encoding="utf-8")
