"""What jobs ask of a machine or a cluster, and what there is of it."""

import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache

LONGEST = 720  # minutes
Resources = dict[str, int | str | Callable[..., int]]


def put_this_python_first() -> None:
    """Let jobs find the Python that runs Snakemake, also where its environment is not activated."""
    folder = os.path.dirname(sys.executable)
    os.environ["PATH"] = os.pathsep.join([folder, os.environ.get("PATH", os.defpath)])


def gpus() -> int:
    """How many jobs that use a GPU may run at once: without one, the cores are the only limit."""
    return own_gpus() or os.cpu_count() or 1


def own_gpus() -> int:
    """How many GPUs this machine has, or shows."""
    return len(gpu_names())


def gpu_names() -> list[str]:
    """The GPUs of this machine, as CUDA_VISIBLE_DEVICES names them: those there, if it is set."""
    count = len(glob.glob("/dev/nvidia[0-9]*"))
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is None or not count:
        return [str(number) for number in range(count)]
    return [name.strip() for name in shown.split(",") if name.strip()]


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


def resources_of(memory_mb: int, minutes: int, gpus: int = 0, nodes: int = 1) -> Resources:
    """What a job asks for: memory of each GPU in MB (more with each try), minutes, GPUs of a node.

    No job asks for more than `LONGEST`: what it has made by then stays made. A job of several nodes
    starts its own tasks, one on each node: Snakemake's plugin for Slurm calls that `mpi`.
    """
    memory_mb *= max(1, gpus)
    found: Resources = {
        "mem_mb": lambda wildcards, attempt: memory_mb * attempt,
        "runtime": min(minutes, LONGEST),
    }
    if nodes > 1:
        found |= {"nodes": nodes, "tasks": nodes, "mpi": "srun"}
    if gpus and (own_gpus() or not _cluster_without_gpus()):
        found |= {"gpu": gpus} if nodes == 1 else {"gres": f"gpu:{gpus}"}
        if gpus * nodes > 1:
            found["tasks_per_gpu"] = 0  # else Slurm starts as many jobs in one
    return found
