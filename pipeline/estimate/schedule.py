"""How long jobs take together on so many cores and GPUs: each begins as soon as it can."""

import heapq
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

EACH = 0.2  # seconds of Snakemake beside each job's process, as measured on the demo


@dataclass(frozen=True)
class Job:
    """A job of a run."""

    name: Hashable
    stage: str
    seconds: float
    threads: int = 1
    gpu: int = 0
    priority: int = 0
    needs: Collection[Hashable] = field(default=())  # the jobs that come before it


def makespan(
    jobs: Iterable[Job], cores: int, gpus: int = 0, running: Mapping[Any, float] | None = None
) -> float:
    """The seconds until the last of some jobs ends.

    What needs a GPU waits for one if there are any, and else needs none. `running` says of jobs
    that run already for how many seconds they have. A job of more threads than there are cores has
    all of them, as Snakemake does it.
    """
    waiting = {job.name: job for job in jobs}
    begun = running or {}
    missing = {n: {need for need in j.needs if need in waiting} for n, j in waiting.items()}
    after: dict[Hashable, list[Hashable]] = {}
    for name, needs in missing.items():
        for need in needs:
            after.setdefault(need, []).append(name)
    order = {name: number for number, name in enumerate(waiting)}
    # Those that run come first.
    ready = [
        (name not in begun, -waiting[name].priority, order[name], name)
        for name, needs in missing.items()
        if not needs or name in begun
    ]
    heapq.heapify(ready)
    ends: list[tuple[float, int, Hashable]] = []
    now, free, free_gpus = 0.0, cores, gpus
    while ready or ends:
        left = []
        while ready and free > 0:
            turn = heapq.heappop(ready)
            job = waiting[turn[-1]]
            threads, gpu = min(job.threads, cores), min(job.gpu, gpus)
            if threads > free or gpu > free_gpus:
                left.append(turn)
                continue
            free, free_gpus = free - threads, free_gpus - gpu
            seconds = max(0.0, job.seconds - begun.get(job.name, 0.0))
            heapq.heappush(ends, (now + seconds, order[job.name], job.name))
        for turn in left:
            heapq.heappush(ready, turn)
        now, _, name = heapq.heappop(ends)
        job = waiting[name]
        free, free_gpus = free + min(job.threads, cores), free_gpus + min(job.gpu, gpus)
        for other in after.get(name, ()):
            missing[other].discard(name)
            if not missing[other] and other not in begun:
                heapq.heappush(ready, (True, -waiting[other].priority, order[other], other))
    return now
