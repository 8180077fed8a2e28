"""A few scans are taken through all stages, to know what all will take.

What is made of scans is made in the store, and used by the run. Networks are trained for some steps
and on these scans alone, twice, with more steps and scans the second time: what lies between the
two is what a step or a scan takes. They are made in a folder that goes away.
"""

import csv
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from pipeline.estimate import jobs, known
from pipeline.estimate.choice import part
from pipeline.estimate.forecast import Measured, counts, place
from pipeline.estimate.known import Known
from pipeline.facts import FUSED, Facts, round_of
from pipeline.plan import ablation, graph
from pipeline.plan.plan import Plan
from pipeline.progress import Progress
from pipeline.stages.declaration import ONLY, Over
from pipeline.store import entry

STEPS, MORE_STEPS = 10, 50
ENOUGH = 60.0  # seconds of the steps that the second training has more


def measure(
    plan: Plan, train: Sequence[str], val: Sequence[str], cores: int
) -> dict[str, Measured]:
    """Make what is missing of some scans, and measure what is made of all of them together.

    Raises `BadInput` where a job fails.
    """
    facts = part(plan.facts, train, val)
    some = Plan(facts)
    path = plan.path.with_name("sample_plan.json")
    some.write(path=path)
    of_scans = {s for s in some.stages if graph.stage(s).over is Over.SCAN and s != "clouds"}
    stages = [stage for stage in some.stages if stage in {*of_scans, "text"}]
    bar = Progress(stages, "samples", unit="stage")
    for stage in bar:
        bar.set_postfix_str(stage)
        names = [ONLY] if stage == "text" else [*some.needed(stage)]
        missing = [name for name in names if not entry.present(place(some, stage, name))]
        batches = [missing[first::cores] for first in range(min(cores, len(missing)))]
        jobs.run(some, path, stage, batches, cores)
    with tempfile.TemporaryDirectory(prefix="estimate-") as folder:
        few = _Trial(some, train[: fewest(plan)], val[:1], STEPS, Path(folder, "few"), cores)
        steps = STEPS + min(MORE_STEPS, max(STEPS, int(ENOUGH / few.pace())))
        more = _Trial(some, train, val, steps, Path(folder, "more"), cores)
    return _extrapolated(plan, few, more)


def fewest(plan: Plan) -> int:
    """The scans that a training needs at least: one more where some are held out."""
    return 2 if plan.section["train"].get("selection", {}).get("held_out") else 1


class _Trial:
    """Trainings of few steps on few scans, with all that comes after them."""

    def __init__(
        self,
        plan: Plan,
        train: Sequence[str],
        val: Sequence[str],
        steps: int,
        root: Path,
        cores: int,
    ) -> None:
        self.plan, self.steps = _shortened(plan, train, val, steps, root), steps
        path = self.plan.path
        self.plan.write()
        for stage, name in self.plan.entries:
            if not graph.per_split(stage):
                _copy(plan.home(stage, name), self.plan.home(stage, name))
        self.known: dict[str, dict[str, Known]] = {}
        own = [s for s in self.plan.stages if graph.per_split(s) and s in dict(self.plan.entries)]
        bar = Progress(own, f"{steps} steps of training", unit="stage")
        for stage in bar:
            names = [name for of, name in self.plan.entries if of == stage]
            jobs.run(self.plan, path, stage, [[name] for name in names], cores)
            self.known[stage] = known.of_stage(self.plan, stage)
        for stage in ("report", "page"):
            if stage in self.plan.stages and self.plan.facts.scored:
                (took,) = jobs.run(self.plan, path, stage, [[ONLY]], cores)
                one = Known(took.seconds, 0.0, took.cpu, took.memory_mb)
                self.known[stage] = {ONLY: one}

    def pace(self) -> float:
        """The seconds of a step of the slowest training, as its own log has it."""
        found = [1e-3]
        for stage, name in self.plan.entries:
            if stage in self.plan.facts.trainers:
                log = self.plan.training_log(stage, name) / "training.csv"
                with suppress(OSError), log.open(newline="", encoding="utf-8") as file:
                    found += [float(row["seconds"]) for row in csv.DictReader(file)]
        return max(found)

    def work(self, facts: Facts, stage: str, name: str, steps: int) -> float:
        """What the time of an entry grows with: the steps of a training, else scans."""
        if stage in facts.trainers:
            return steps
        if stage in ("imported", "report", "page"):
            return 0
        of_val = {FUSED, *facts.networks, *facts.imported}
        scored = graph.stage(stage).over is Over.SCORE and name in of_val
        return len(facts.splits["val" if scored else "train"])


def _shortened(
    plan: Plan, train: Sequence[str], val: Sequence[str], steps: int, root: Path
) -> Plan:
    """The plan of trainings that are short, in a store and a work tree of its own."""
    training = plan.section["train"]
    changes: dict = {"optimiser": {"steps": steps}, "seeds": training["seeds"][:1]}
    if training.get("self_training", {}).get("steps"):
        changes["self_training"] = {"steps": steps}
    section = ablation.merged(plan.section, {"train": changes})
    return Plan(
        replace(
            plan.facts,
            section=section,
            splits={"train": [*train], "val": [*val]},
            keys=None,
            store=str(root / "store"),
            work=str(root / "work"),
            results=str(root / "results"),
        )
    )


def _extrapolated(plan: Plan, few: _Trial, more: _Trial) -> dict[str, Measured]:
    """What all entries of the plan take by what those of two trials took."""
    found = {}
    names: dict[str, list[str]] = {}
    for stage, name in [*plan.entries, ("report", ONLY), ("page", ONLY)]:
        names.setdefault(stage, []).append(name)
    for stage in more.known:
        entries = {
            name: line
            for name in names.get(stage, ())
            if (line := _line(plan, stage, name, few, more)) is not None
        }
        if entries:
            first = [each.start for each in more.known[stage].values() if each.start]
            cpus = [each.start_cpu for each in more.known[stage].values() if each.start_cpu]
            start, start_cpu = (fmean(each) if each else 0.0 for each in (first, cpus))
            found[stage] = Measured(plan.keys[stage], entries, start, start_cpu, counts(plan))
    return found


def _line(plan: Plan, stage: str, name: str, few: _Trial, more: _Trial) -> Known | None:
    """What an entry takes: the line through two trials, at the work that there is in it."""
    first = plan.section["train"]["seeds"][0]
    kind, _, seed = name.rpartition("-")
    tried = f"{kind}-{first}" if kind and seed.isdigit() else name
    low, high = few.known.get(stage, {}).get(tried), more.known[stage].get(tried)
    if low is None or high is None:
        return None
    steps = plan.section["train"]["optimiser"]["steps"]
    if round_of(name):
        steps = plan.section["train"]["self_training"].get("steps") or steps
    begin = few.work(few.plan.facts, stage, tried, few.steps)
    end = few.work(more.plan.facts, stage, tried, more.steps)
    here = few.work(plan.facts, stage, tried, steps)

    def at(low: float, high: float) -> float:
        if end == begin:
            return high
        return max(high, high + (high - low) / (end - begin) * (here - end))

    return Known(
        seconds=at(low.seconds, high.seconds),
        bytes=at(low.bytes, high.bytes),
        cpu=at(low.cpu or 0.0, high.cpu or 0.0),
        memory_mb=high.memory_mb,
        gpu_mb=high.gpu_mb,
    )


def _copy(home: Path, to: Path) -> None:
    """Let an entry be in another store too, without a copy where that can be."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        try:
            os.link(home, to)
        except OSError:
            shutil.copyfile(home, to)
