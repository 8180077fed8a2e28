"""What a process has used of its machine so far, for the records of what it makes."""

import os
import resource
import sys
import time
from typing import Any

import psutil

_made = 0  # how many uses this process has begun


class Use:
    """What one piece of work uses; begun when it is made.

    The first of a process also knows what was used before it: to start, and to load code and
    weights.
    """

    def __init__(self) -> None:
        global _made
        self._begin, self._cpu = time.monotonic(), _cpu_seconds()
        self._start: dict[str, float] = {}
        if not _made:
            age = max(0.0, time.time() - psutil.Process().create_time())
            self._start = {"start": round(age, 3), "start_cpu": round(self._cpu, 3)}
        _made += 1

    def so_far(self) -> dict[str, Any]:
        """`seconds` and `cpu` (seconds of all cores) since it began, and `memory_mb`, `gpu_mb`.

        Memory is the largest resident set of the process until now, in megabytes (1e6 bytes);
        `gpu_mb`, only where PyTorch uses a GPU, the most memory that it took of that. `start` and
        `start_cpu` are of the first use of a process: its seconds before.
        """
        used: dict[str, Any] = {
            "seconds": round(time.monotonic() - self._begin, 3),
            "cpu": round(_cpu_seconds() - self._cpu, 3),
            "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6),
            **self._start,
        }
        torch = sys.modules.get("torch")  # which nothing here loads
        cuda = getattr(torch, "cuda", None)
        if cuda is not None and cuda.is_available() and cuda.is_initialized():
            used["gpu_mb"] = round(cuda.max_memory_reserved() / 1e6)
        return used


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    return sum(os.times()[:4])
