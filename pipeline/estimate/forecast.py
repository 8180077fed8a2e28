"""What the entries that are missing will take, by what others of the same settings took.

Entries of scans grow with the scans: of each, the size of its raw files is known, and what is
forecast is in proportion to it (`ratios`). Records of other settings are never used.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.estimate import known, ratios
from pipeline.estimate.known import Known
from pipeline.estimate.ratios import Sizes
from pipeline.plan import graph
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import ONLY, Over
from pipeline.store import entry


@dataclass(frozen=True)
class Forecast:
    """What a stage has and needs. `entries` are forecast; None where nothing is known."""

    stage: str
    planned: int
    missing: Sequence[str]
    entries: Mapping[str, Known] | None
    start: float = 0.0  # seconds of each job before its first entry
    start_cpu: float = 0.0
    spread: float | None = None  # seconds around the sum, with `ratios.CONFIDENCE`; None: unknown
    spread_bytes: float | None = None
    samples: int = 0  # entries that it is known by
    present_bytes: int = 0

    @property
    def source(self) -> str:
        """By what it is known."""
        if not self.missing:
            return ""
        if self.entries is None:
            return "nothing"
        return f"{self.samples} made before" if self.samples else "a trial"

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
    scans: dict[str, int] = field(default_factory=dict)  # split -> how many it is forecast for

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
        scans = {str(split): int(count) for split, count in said["scans"].items()}
        return cls(said["key"], entries, float(said["start"]), float(said["start_cpu"]), scans)

    def holds(self, plan: Plan, stage: str, missing: Iterable[str]) -> bool:
        """Whether it is about these entries of a plan: under its settings, and of as many scans."""
        alike = not _grows_with_splits(plan, stage) or self.scans == counts(plan)
        return self.key == plan.keys[stage] and alike and {*missing} <= self.entries.keys()


def counts(plan: Plan) -> dict[str, int]:
    """Split -> number of its scans."""
    return {split: len(names) for split, names in plan.facts.splits.items()}


def _grows_with_splits(plan: Plan, stage: str) -> bool:
    """Whether an entry takes the longer the more scans there are: not where steps are counted."""
    return graph.per_split(stage) and stage not in (*plan.facts.trainers, "imported")


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
        file = place(plan, stage, name)
        if entry.present(file):
            present_bytes += file.stat().st_size
        else:
            missing.append(name)
    records = _records(plan, stage, names)
    if stage == "simulate":
        present_bytes = int(sum(each.bytes for name, each in records.items() if name in names))
    base = Forecast(stage, len(names), missing, None, present_bytes=present_bytes)
    if measured and measured.holds(plan, stage, missing):
        entries = {name: measured.entries[name] for name in missing}
        start, start_cpu = measured.start, measured.start_cpu
        return replace(base, entries=entries, start=start, start_cpu=start_cpu)
    if not records:
        return base
    start, start_cpu = ratios.start(records.values())
    base = replace(base, start=start, start_cpu=start_cpu, samples=len(records))
    if graph.stage(stage).over is not Over.SCAN:
        same = {name: ratios.alike(name, records) for name in missing}
        return replace(base, entries=same)
    return _of_scans(base, records, sizes)


def _records(plan: Plan, stage: str, names: Sequence[str]) -> dict[str, Known]:
    """What entries of a stage took that tell of others: those of other scans only if they do."""
    if not _grows_with_splits(plan, stage):
        return known.of_stage(plan, stage)
    read = ((name, known.of_entry(plan.home(stage, name))) for name in names)
    return {name: each for name, each in read if each}


def place(plan: Plan, stage: str, name: str) -> Path:
    """The file by which it is known that something was made."""
    if stage == "simulate":
        return plan.places(stage, name)[0]
    if stage == "report":
        return plan.results / "table.txt"
    return plan.page(plan.results) if stage == "page" else plan.home(stage, name)


def _of_scans(base: Forecast, records: Mapping[str, Known], sizes: Sizes) -> Forecast:
    declared, samples = graph.stage(base.stage), [*records.values()]
    work = ratios.works(sizes, {*base.missing, *records}, declared.time_grows_with)
    volume = ratios.works(sizes, {*base.missing, *records}, declared.size_grows_with)
    per_work = ratios.ratio(work, {name: each.seconds for name, each in records.items()})
    cpus = {name: each.cpu for name, each in records.items() if each.cpu is not None}
    per_cpu = ratios.ratio(work, cpus) if cpus else None
    per_byte = ratios.ratio(volume, {name: each.bytes for name, each in records.items()})
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
    seconds = {name: each.seconds for name, each in records.items()}
    sizes_ = {name: each.bytes for name, each in records.items()}
    spread = ratios.spread(work, seconds, per_work, base.missing)
    spread_bytes = ratios.spread(volume, sizes_, per_byte, base.missing)
    return replace(base, entries=entries, spread=spread, spread_bytes=spread_bytes)
