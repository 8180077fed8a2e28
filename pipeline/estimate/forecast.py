"""What the entries that are missing will take, by what others of the same settings took.

Entries of scans grow with the scans: of each, the size of its raw files is known, and what is
forecast is in proportion to it (a ratio estimate; W. G. Cochran, "Sampling Techniques", 1977,
chapter 6). Records of other settings are never used.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

from scipy.special import stdtrit

from pipeline.estimate import known
from pipeline.estimate.known import Known
from pipeline.plan import graph
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import ONLY, Over
from pipeline.store import entry

Sizes = Mapping[str, Mapping[str, float]]  # scan -> group of raw files -> bytes
CONFIDENCE = 0.9


@dataclass(frozen=True)
class Forecast:
    """What a stage has and needs. `entries` are forecast; None where nothing is known."""

    stage: str
    planned: int
    missing: Sequence[str]
    entries: Mapping[str, Known] | None
    start: float = 0.0  # seconds of each job before its first entry
    start_cpu: float = 0.0
    spread: float | None = None  # seconds around the sum, with `CONFIDENCE`; None: unknown
    spread_bytes: float | None = None
    samples: int = 0  # entries that it is known by
    present_bytes: int = 0

    def total(self, what: str) -> float | None:
        """The sum of `seconds`, `cpu` or `bytes` of what is missing; None if unknown."""
        if not self.missing:
            return 0.0
        if self.entries is None:
            return None
        values = [getattr(each, what) for each in self.entries.values()]
        return None if None in values else sum(values)

    def most(self, what: str) -> float | None:
        """The most of `memory_mb` or `gpu_mb` of an entry; None if unknown or nothing."""
        values = [getattr(each, what) for each in (self.entries or {}).values()]
        return max((value for value in values if value is not None), default=None)

    def of_job(self, names: Iterable[str]) -> float | None:
        """The seconds of a job that makes entries; None where something is unknown."""
        if self.entries is None:
            return None
        needed = [self.entries[name].seconds for name in names if name in self.entries]
        return self.start + sum(needed)


@dataclass(frozen=True)
class Measured:
    """What was measured of a stage beside the store: forecasts of its entries, by their names."""

    key: str
    entries: dict[str, Known] = field(default_factory=dict)
    start: float = 0.0
    start_cpu: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Measured":
        """What `to_json` gave. Raises as `Known.from_json` does."""
        entries = {
            name: Known.from_json({k: v for k, v in each.items() if v is not None})
            for name, each in said["entries"].items()
        }
        return cls(said["key"], entries, float(said["start"]), float(said["start_cpu"]))


def forecasts(
    plan: Plan, sizes: Sizes | None = None, measured: Mapping[str, Measured] | None = None
) -> dict[str, Forecast]:
    """Stage -> forecast, upstream before downstream; nothing is made and no raw file is read."""
    needed: dict[str, list[str]] = {"simulate": plan.facts.scans} if plan.facts.simulated else {}
    for stage, name in plan.entries:
        needed.setdefault(stage, []).append(name)
    found = {}
    if plan.facts.scored:
        needed |= {"report": [ONLY], "page": [ONLY]}
    for stage in [stage for stage in plan.stages if stage in needed]:
        found[stage] = of_stage(
            plan, stage, needed[stage], sizes or {}, (measured or {}).get(stage)
        )
    return found


def of_stage(
    plan: Plan, stage: str, names: Sequence[str], sizes: Sizes, measured: Measured | None
) -> Forecast:
    """The forecast of one stage for the entries that are missing of `names`."""
    missing, present_bytes = [], 0
    for name in names:
        place = _place(plan, stage, name)
        if entry.present(place):
            present_bytes += place.stat().st_size
        else:
            missing.append(name)
    records = known.of_stage(plan, stage)
    if stage == "simulate":
        present_bytes = int(sum(each.bytes for name, each in records.items() if name in names))
    base = Forecast(stage, len(names), missing, None, present_bytes=present_bytes)
    if measured and measured.key == plan.keys[stage] and set(missing) <= measured.entries.keys():
        entries = {name: measured.entries[name] for name in missing}
        return _with(base, entries, measured.start, measured.start_cpu, samples=1)
    if not records:
        return base
    start, start_cpu = _start(records.values())
    if graph.stage(stage).over is not Over.SCAN:
        same = {name: _alike(name, records) for name in missing}
        return _with(base, same, start, start_cpu, samples=len(records))
    return _of_scans(base, records, sizes, start, start_cpu)


def _place(plan: Plan, stage: str, name: str) -> Path:
    """The file by which it is known that something was made."""
    if stage == "simulate":
        return plan.places(stage, name)[0]
    if stage == "report":
        return plan.results / "table.txt"
    return plan.page(plan.results) if stage == "page" else plan.home(stage, name)


def _of_scans(
    base: Forecast, records: Mapping[str, Known], sizes: Sizes, start: float, start_cpu: float
) -> Forecast:
    declared, samples = graph.stage(base.stage), [*records.values()]
    work = works(sizes, {*base.missing, *records}, declared.time_grows_with)
    volume = works(sizes, {*base.missing, *records}, declared.size_grows_with)
    per_work = _ratio(work, {name: each.seconds for name, each in records.items()})
    cpus = {name: each.cpu for name, each in records.items() if each.cpu is not None}
    per_cpu = _ratio(work, cpus) if cpus else None
    per_byte = _ratio(volume, {name: each.bytes for name, each in records.items()})
    memory = max((each.memory_mb for each in samples if each.memory_mb), default=None)
    gpu = max((each.gpu_mb for each in samples if each.gpu_mb), default=None)
    entries = {
        name: Known(
            seconds=per_work * work[name],
            bytes=per_byte * volume[name],
            cpu=None if per_cpu is None else per_cpu * work[name],
            memory_mb=memory,
            gpu_mb=gpu,
        )
        for name in base.missing
    }
    spread = _spread(work, {n: e.seconds for n, e in records.items()}, per_work, base.missing)
    spread_bytes = _spread(volume, {n: e.bytes for n, e in records.items()}, per_byte, base.missing)
    return _with(base, entries, start, start_cpu, len(samples), spread, spread_bytes)


def works(sizes: Sizes, names: Iterable[str], groups: Sequence[str]) -> dict[str, float]:
    """How much work each scan is, relative to the mean: the product over groups of raw files.

    A scan whose files are not here counts as the mean.
    """
    found = dict.fromkeys(names, 1.0)
    for group in groups:
        own = {name: sizes.get(name, {}).get(group) for name in found}
        there = [size for size in own.values() if size]
        for name, size in own.items():
            found[name] *= size / fmean(there) if size else 1.0
    return found


def _ratio(work: Mapping[str, float], values: Mapping[str, float]) -> float:
    total = sum(work[name] for name in values)
    return sum(values.values()) / total if total else 0.0


def _spread(
    work: Mapping[str, float], values: Mapping[str, float], ratio: float, missing: Sequence[str]
) -> float | None:
    """Half the width of the interval of the sum over what is missing; None with one sample."""
    count = len(values)
    if count < 2:
        return 0.0 if not missing else None
    squares = sum((value - ratio * work[name]) ** 2 for name, value in values.items())
    variance, ahead = squares / (count - 1), sum(work[name] for name in missing)
    share = ahead / max(sum(work[name] for name in values), 1e-12)
    error = math.sqrt(variance * (len(missing) + share**2 * count))
    return float(stdtrit(count - 1, 0.5 + CONFIDENCE / 2)) * error


def _start(records: Iterable[Known]) -> tuple[float, float]:
    """Seconds, and those of all cores, that a process takes before its first entry."""
    first = [each for each in records if each.start is not None]
    if not first:
        return 0.0, 0.0
    return median(e.start or 0.0 for e in first), median(e.start_cpu or 0.0 for e in first)


def _alike(name: str, records: Mapping[str, Known]) -> Known:
    """What the entry of the same variant took, with another seed, or else the mean of all."""
    kind = name.rpartition("-")[0]
    same = [each for other, each in records.items() if other.rpartition("-")[0] == kind]
    same = same or [*records.values()]
    cpus = [each.cpu for each in same if each.cpu is not None]
    return Known(
        seconds=fmean(each.seconds for each in same),
        bytes=fmean(each.bytes for each in same),
        cpu=fmean(cpus) if cpus else None,
        memory_mb=max((each.memory_mb for each in same if each.memory_mb), default=None),
        gpu_mb=max((each.gpu_mb for each in same if each.gpu_mb), default=None),
    )


def _with(
    base: Forecast,
    entries: Mapping[str, Known],
    start: float,
    start_cpu: float,
    samples: int,
    spread: float | None = None,
    spread_bytes: float | None = None,
) -> Forecast:
    return Forecast(
        base.stage,
        base.planned,
        base.missing,
        entries,
        start,
        start_cpu,
        spread,
        spread_bytes,
        samples,
        base.present_bytes,
    )
