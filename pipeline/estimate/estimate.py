"""`python -m pipeline estimate DATASET`: what a run will take, before it starts."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.estimate import measured, samples
from pipeline.estimate.choice import choose, fetched, planned, raw_sizes
from pipeline.estimate.forecast import Forecast, forecasts
from pipeline.estimate.plan_jobs import jobs
from pipeline.estimate.ratios import CONFIDENCE, Sizes
from pipeline.estimate.schedule import EACH, Job, makespan
from pipeline.plan import graph, machine
from pipeline.plan.plan import Plan
from pipeline.progress import format_duration
from pipeline.tables import aligned, format_bytes

# Seconds in which Snakemake reads the rules and chooses jobs, as measured on the demo; a slow file
# system takes more.
START = 6.0
BUSY = 0.4  # load of each core from which samples are slower than on a quiet machine


@dataclass(frozen=True)
class Estimate:
    """What a run will take on so many cores and GPUs."""

    plan: Plan
    forecasts: Mapping[str, Forecast]
    jobs: Sequence[Job]
    cores: int
    gpus: int
    unknown: Sequence[str] = field(default=())  # sentences about what could not be known

    @property
    def seconds(self) -> float:
        """From the start of Snakemake to its end."""
        if not self.jobs:
            return 0.0
        own = [replace(job, seconds=job.seconds + EACH) for job in self.jobs]
        return START + makespan(own, self.cores, self.gpus)

    @property
    def cpu(self) -> float:
        """Seconds of all cores in jobs, with their starts; what is unknown takes none."""
        own = sum(each.total("cpu") or 0.0 for each in self.forecasts.values())
        return own + sum(self.forecasts[job.stage].start_cpu for job in self.jobs)

    @property
    def bytes(self) -> float:
        """What is added to the disk; what is unknown takes none."""
        return sum(each.total("bytes") or 0.0 for each in self.forecasts.values())

    @property
    def spread(self) -> float:
        """Seconds around it, as far as samples differ: as if they were spread over all cores."""
        known = [each.spread or 0.0 for each in self.forecasts.values()]
        return math.sqrt(sum(each**2 for each in known)) / self.cores


def estimate(dataset: str, config: Path, scans: int, cores: int, gpus: int | None) -> Estimate:
    """Measure what is not recorded on `scans` sample scans, and forecast all that is missing.

    Raises `BadInput` for a bad config, and where a sample cannot be made.
    """
    plan, fault = planned(dataset, config)
    sizes = raw_sizes(plan)
    readable, unknown = plan.facts.simulated or bool(sizes), []
    if not fault and readable and _lacks(plan, sizes):
        fault = fetched(plan)
        plan, _ = planned(dataset, config)  # with the digest of the weights
    if fault:
        unknown.append(f"nothing could be measured without weights: {fault}")
    elif not readable:
        unknown.append(f"no raw scan is at {plan.raw}, so nothing could be measured on samples")
    elif _lacks(plan, sizes):
        unknown += _busy(os.getloadavg()[0], os.cpu_count() or 1)
        _measure(plan, sizes, max(scans, samples.fewest(plan)), min(cores, os.cpu_count() or 1))
        plan, _ = planned(dataset, config)  # with the digests of the samples
    if plan.facts.simulated:
        sizes = {}  # rooms that are not there yet are like those that are
    elif sizes:
        measured.write_sizes(plan, sizes)
    found = forecasts(plan, sizes, measured.read(plan))
    gpus = machine.own_gpus() if gpus is None else gpus
    unknown += _unknown(plan, found, sizes, gpus)
    return Estimate(plan, found, jobs(plan, found), cores, gpus, unknown)


def _lacks(plan: Plan, sizes: Sizes) -> bool:
    """Whether a stage needs something of which nothing is known."""
    found = forecasts(plan, sizes, measured.read(plan))
    return any(each.missing and each.entries is None for each in found.values())


def _measure(plan: Plan, sizes: Sizes, scans: int, cores: int) -> None:
    train = choose(plan.splits["train"], sizes, scans)
    val = choose(plan.splits["val"], sizes, max(1, scans // 2))
    measured.write(plan, samples.measure(plan, train, val, cores))


def _busy(load: float, cores: int) -> list[str]:
    """What to say where other programs make samples slower, by the load before they are made."""
    if load < BUSY * cores:
        return []
    what = f"how long it takes on a quiet machine: {load:.1f} programs were running here, on "
    return [what + f"{_counted(cores, 'core')}, before samples were measured; CPU tells more"]


def _unknown(plan: Plan, found: Mapping[str, Forecast], sizes: Sizes, gpus: int) -> list[str]:
    said = []
    if missing := [s for s, each in found.items() if each.missing and each.entries is None]:
        said.append(f"nothing is known of {', '.join(missing)}")
    of_gpu = [s for s, e in found.items() if e.missing and e.entries and graph.stage(s).gpu]
    if of_gpu and gpus and not machine.own_gpus():
        said.append(
            f"how much faster a GPU makes {', '.join(of_gpu)}: there is none here, and they count "
            "as measured without"
        )
    absent = [scan for scan in plan.facts.scans if scan not in sizes]
    if absent and not plan.facts.simulated and sizes:
        said.append(f"{len(absent)} scans have no complete raw files here: each counts as the mean")
    if len(plan.facts.scans) > 1 and plan.facts.simulated:
        said.append("rooms that are not simulated yet count as the mean of those that are")
    return said


def format_report(found: Estimate) -> str:
    """A table of the stages, the sum, and what could not be known."""
    head = ("stage", "to make", "of", "jobs", "CPU", "one by one", "+-", "disk", "+-", "memory")
    rows: list[tuple[str, ...]] = [(*head, "GPU memory", "known by")]
    counts = [job.stage for job in found.jobs]
    for stage, each in found.forecasts.items():
        number = counts.count(stage)
        cpu, seconds = each.total("cpu"), each.total("seconds")
        rows.append(
            (
                stage,
                str(len(each.missing)),
                str(each.planned),
                str(number),
                _known(None if cpu is None else cpu + number * each.start_cpu, format_duration),
                _known(None if seconds is None else seconds + number * each.start, format_duration),
                "" if not each.spread else format_duration(each.spread),
                _known(each.total("bytes"), format_bytes),
                "" if not each.spread_bytes else format_bytes(each.spread_bytes),
                _megabytes(each.most("memory_mb")),
                _megabytes(each.most("gpu_mb")),
                each.source,
            )
        )
    lines = [aligned(rows, left=(0, len(rows[0]) - 1)), "", sentence(found)]
    lines += [f"not known: {each}" for each in found.unknown]
    return "\n".join(lines)


def sentence(found: Estimate) -> str:
    """The sum in a sentence."""
    known = found.forecasts.values()
    present = sum(e.present_bytes for e in known)
    partly = any(e.missing and e.entries is None for e in known)
    around = "" if partly else f"(+- {format_duration(found.spread)}) "
    with_ = _counted(found.cores, "core")
    if found.gpus:
        with_ += f" and {_counted(found.gpus, 'GPU')}"
    return (
        f"{found.plan.dataset}: {'more than ' if partly else ''}about "
        f"{format_duration(found.seconds)} {around}on {with_}; "
        f"{format_duration(found.cpu)} of CPU; {format_bytes(found.bytes)} of disk beside the "
        f"{format_bytes(present)} that are there. +- is where {CONFIDENCE:.0%} of such sums lie "
        "by how samples differ; trainings have none."
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _known(value: float | None, formatted: Callable[[float], str]) -> str:
    return "unknown" if value is None else formatted(value)


def _megabytes(value: float | None) -> str:
    return "" if value is None else format_bytes(value * 1e6)
