"""Jobs that are run to be measured, each a process as Snakemake starts it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.estimate.forecast import place
from pipeline.plan import graph
from pipeline.plan.plan import Plan

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Took:
    """What a process took."""

    seconds: float
    cpu: float  # of all cores
    memory_mb: float


def run(
    plan: Plan, path: Path, stage: str, names: Sequence[Sequence[str]], cores: int
) -> list[Took]:
    """Run a job of a stage for each of some lists of entries, as many at once as cores allow.

    `path` is where the plan is written. Raises `BadInput` with the last line of one that fails.
    """
    threads = min(graph.stage(stage).threads(plan.facts), cores)
    with ThreadPoolExecutor(max(1, cores // threads)) as pool:
        return [*pool.map(lambda some: _job(plan, path, stage, some, threads), names)]


def _job(plan: Plan, path: Path, stage: str, names: Sequence[str], threads: int) -> Took:
    command = [sys.executable, "-m", "pipeline", stage, str(path)]
    command += [str(place) for name in names for place in _places(plan, stage, name)]
    return measured(command, threads)


def _places(plan: Plan, stage: str, name: str) -> list[Path]:
    if stage in ("report", "page"):
        return [place(plan, stage, name)]
    return plan.places(stage, name)


def measured(command: Sequence[str], threads: int) -> Took:
    """Run a command to its end. Raises `BadInput` with its last line where it fails."""
    environment = os.environ | dict.fromkeys(THREADS, str(threads))
    begin = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said: list[bytes] = []
    assert process.stdout
    reader = threading.Thread(target=lambda: said.append(process.stdout.read()))  # type: ignore[union-attr]
    reader.start()
    try:
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    if process.returncode:
        lines = b"".join(said).decode(errors="replace").strip().splitlines()
        what = lines[-1] if lines else f"exit code {process.returncode}"
        raise BadInput(" ".join(command[2:4]), f"failed: {what}", "correct it, or see `doctor`")
    cpu = used.ru_utime + used.ru_stime
    return Took(time.monotonic() - begin, cpu, used.ru_maxrss * 1024 / 1e6)
