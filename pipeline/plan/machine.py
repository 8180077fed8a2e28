"""What jobs ask of a machine or a cluster, and what there is of it."""

import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache

LONGEST = 720  # minutes
Resources = dict[str, int | Callable[..., int]]


def put_this_python_first() -> None:
    """Let jobs find the Python that runs Snakemake, also where its environment is not activated."""
    folder = os.path.dirname(sys.executable)
    os.environ["PATH"] = os.pathsep.join([folder, os.environ.get("PATH", os.defpath)])


def gpus() -> int:
    """How many jobs that use a GPU may run at once: without one, the cores are the only limit."""
    return own_gpus() or os.cpu_count() or 1


def own_gpus() -> int:
    """How many GPUs this machine has."""
    return len(glob.glob("/dev/nvidia[0-9]*"))


@cache
def _cluster_without_gpus() -> bool:
    """Whether there is a Slurm here, and none of its nodes has a GPU: it would refuse such jobs."""
    if not shutil.which("sinfo"):
        return False
    command = ["sinfo", "--noheader", "--format=%G"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):  # no cluster to speak of
        return False
    return bool(told.stdout.strip()) and "gpu" not in told.stdout


def resources_of(memory_mb: int, minutes: int, gpu: bool) -> Resources:
    """What a job asks for: memory in MB (more with each try), minutes, and one GPU or none.

    No job asks for more than `LONGEST`: what it has made by then stays made.
    """
    found: Resources = {
        "mem_mb": lambda wildcards, attempt: memory_mb * attempt,
        "runtime": min(minutes, LONGEST),
    }
    if gpu and (own_gpus() or not _cluster_without_gpus()):
        found["gpu"] = 1
    return found
