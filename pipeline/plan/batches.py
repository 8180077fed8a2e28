"""Which scans the jobs of a stage make, one after another, so that one start serves several."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

from pipeline.plan import graph
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import Entry, Over
from pipeline.store import notes


def of_stage(plan: Plan, stage: str) -> list[list[str]]:
    """The scans of each job of a stage: those that the results need, and apart from them the rest.

    On a cluster each job reads the rules again. So batches depend on the plan alone: neither on
    what is made already, nor on the machine. Of the rest, scans without the raw files that are read
    are left out.
    """
    size, group = plan.section["scans_per_job"], graph.stage(stage).raw
    groups, needed = plan.facts.raw_digests, plan.needed(stage)
    rest = [scan for scan in plan.facts.scans if scan not in needed]
    parts = (
        [scan for scan in plan.facts.scans if scan in needed],
        [scan for scan in rest if group in (None, *groups.get(scan, [group]))],
    )
    return [part[i : i + size] for part in parts for i in range(0, len(part), size)]


def inputs(plan: Plan, stage: str, batch: Sequence[str]) -> Any:
    """What the scans of a batch need that are still to be made: also raw scans, if simulated."""
    raw = plan.facts.simulated and graph.stage(stage).raw

    def needed(wildcards: Any) -> list[str]:
        missing = [scan for scan in batch if not _linked(plan, stage, scan)]
        done = [str(path) for scan in missing if raw for path in plan.places("simulate", scan)]
        sources = (source for scan in missing for source in plan.inputs(stage, scan))
        return done + links(plan, dict.fromkeys(sources))

    return needed


def _linked(plan: Plan, stage: str, scan: str) -> bool:
    return all(path.is_symlink() for path in plan.places(stage, scan))


def whole_stages(plan: Plan) -> Iterator[tuple[str, Any]]:
    """Stages of scans that a user can ask for, each with what of it the results need, or all."""
    for stage in plan.stages:
        if graph.stage(stage).over is Over.SCAN and stage != "clouds":
            yield stage, partial(_needed, plan, stage)


def _needed(plan: Plan, stage: str, wildcards: Any) -> list[str]:
    names = plan.needed(stage) or plan.facts.scans
    return [str(path) for scan in names for path in plan.places(stage, scan)]


def require_all(plan: Plan) -> None:
    """Raise `BadInput` where a run that went on could not make some of what was asked for."""
    found = [note for _, note in plan.notes()]
    if found:
        raise notes.NotMade(f"what was asked of {plan.dataset}", found)


def links(plan: Plan, entries: Iterable[Entry]) -> list[str]:
    """The links to entries that are still to be made: what the store has needs no planning.

    Of those that one job makes together, the first is enough to wait for it: Snakemake looks up the
    rule of every input, which would take most of the time of planning. Folds and the rows of an
    ablation name all, since the jobs are those of their dataset.
    """
    missing: dict[Entry | tuple[str, int], str] = {}
    for stage, name in entries:
        if not graph.stage(stage).stored or (job := _job(plan, stage, name)) in missing:
            continue
        link = plan.link(stage, name)
        if not link.is_symlink():
            missing[job] = str(link)
    return [*missing.values()]


def _job(plan: Plan, stage: str, name: str) -> Entry | tuple[str, int]:
    """What stands for the job that makes an entry."""
    if plan.facts.fold or plan.facts.row or graph.stage(stage).over is not Over.SCAN:
        return stage, name
    number = _numbers(plan, stage).get(name)
    return (stage, name) if number is None else (stage, number)


@lru_cache(maxsize=64)
def _numbers(plan: Plan, stage: str) -> dict[str, int]:
    """Scan -> number of the job of a stage that makes it."""
    return {scan: n for n, batch in enumerate(of_stage(plan, stage)) for scan in batch}
