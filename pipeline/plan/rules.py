"""What the rules of one dataset are given of its plan, and what the user sees at the end."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.plan import folds, graph, provenance
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import ONLY, Entry, Over, Stage
from pipeline.store import lease


@dataclass(frozen=True)
class Rule:
    """A rule of Snakemake, which makes entries of one stage: all fields are its directives."""

    name: str
    stage: str
    input: Any  # paths, or a function of wildcards that gives them
    output: Sequence[str]
    log: str
    benchmark: str
    threads: int
    priority: int
    resources: Mapping[str, int]


def gpus() -> int:
    """How many jobs that use a GPU may run at once: without one, the cores are the only limit."""
    return len(glob.glob("/dev/nvidia[0-9]*")) or os.cpu_count() or 1


def pathvars(plan: Plan, of_folds: Mapping[str, Plan] | None = None) -> dict[str, str]:
    """The folders that the rules name as <name>; one more if the plan has folds."""
    others = {folder: "/".join([folder, *plan.parts]) for folder in ("logs", "benchmarks")}
    if of_folds:
        others["sixfold"] = str(folds.results(plan, of_folds))
    return others


def rules_of_scans(plan: Plan, of_folds: Mapping[str, Plan] | None = None) -> Iterator[Rule]:
    """The rules whose entries all folds of a dataset share, and the simulation of its scans."""
    facts = plan.facts
    for stage in plan.stages:
        declared = graph.stage(stage)
        names = [ONLY] if declared.over is Over.DATASET else facts.scans
        if declared.training_only and not of_folds:  # in folds each scan is trained on, too
            names = list(facts.splits["train"])
        if not graph.per_split(stage) and declared.stored:
            yield from _rules(plan, stage, names)
    if facts.simulated:
        done = str(plan.raw / "{name}.done")
        yield _rule(plan, graph.stage("simulate"), "{name}", [], [done])


def rules_of_split(plan: Plan) -> Iterator[Rule]:
    """The rules whose entries depend on which scans are trained on: networks and their counts."""
    for stage in plan.stages:
        if graph.per_split(stage):
            yield from _rules(plan, stage, [])


def rules_of_results(plan: Plan) -> Iterator[Rule]:
    """The tables, and the labelled clouds of each scan."""
    tables = [str(plan.results / f"table.{suffix}") for suffix in ("txt", "json", "csv")]
    needed = links(plan, plan.inputs("report", ONLY))
    if not plan.facts.scored:
        needed += map(str, plan.cloud_files())
    yield _rule(plan, graph.stage("report"), "report", needed, tables)
    clouds = [str(plan.clouds / "{name}" / f"{cloud}.ply") for cloud in plan.facts.clouds]
    yield _rule(plan, graph.stage("clouds"), "{name}", _inputs(plan, "clouds"), clouds)


def counts_of_folds(of_folds: Mapping[str, Plan]) -> list[str]:
    """The counts of all folds that are still to be made."""
    return [
        link
        for fold in of_folds.values()
        for link in links(fold, [(fold.facts.evaluator(n), n) for n in folds.scores(fold)])
    ]


def links(plan: Plan, entries: Iterable[Entry]) -> list[str]:
    """The links to entries that are still to be made: what the store has needs no planning."""
    paths = (plan.link(*entry) for entry in entries if graph.stage(entry[0]).stored)
    return [str(path) for path in paths if not path.is_symlink()]


def _rules(plan: Plan, stage: str, names: Sequence[str]) -> Iterator[Rule]:
    """One rule for all entries of a stage, or one for each batch of them."""
    declared = graph.stage(stage)
    batches = declared.batches(plan.facts, names) if names else None
    if batches is None:
        output = str(plan.link(stage, "{name}"))
        if declared.over is Over.DATASET:
            output = output.replace("{name}", ONLY)
            yield _rule(plan, declared, stage, links(plan, plan.inputs(stage, ONLY)), [output])
        else:
            yield _rule(plan, declared, "{name}", _inputs(plan, stage), [output])
        return
    for number, batch in enumerate(batches):
        name = f"{stage}_{number}" if len(batches) > 1 else stage
        sources = (source for entry in batch for source in plan.inputs(stage, entry))
        outputs = [str(plan.link(stage, entry)) for entry in batch]
        needed = links(plan, dict.fromkeys(sources))
        yield _rule(plan, declared, f"{number}", needed, outputs, name)


def _rule(
    plan: Plan, stage: Stage, log: str, input_: Any, output: list[str], name: str | None = None
) -> Rule:
    facts, place = plan.facts, f"{stage.name}/{log}"
    resources = {"mem_mb": stage.memory_mb, "runtime": stage.minutes}
    return Rule(
        name or stage.name,
        stage.name,
        input_,
        output,
        f"<logs>/{place}.log",
        f"<benchmarks>/{place}.tsv",
        stage.threads(facts),
        stage.priority,
        resources | ({"gpu": 1} if stage.gpu else {}),
    )


def _inputs(plan: Plan, stage: str) -> Any:
    """What a rule with a wildcard `name` needs; a raw scan if it is simulated."""
    raw = plan.facts.simulated and graph.stage(stage).raw

    def needed(wildcards: Any) -> list[str]:
        done = [str(plan.raw / f"{wildcards.name}.done")] if raw else []
        return done + links(plan, plan.inputs(stage, wildcards.name))

    return needed


def targets(plans: Mapping[str, Plan]) -> list[str]:
    """What a user can ask for; all folds where scans have areas."""
    folded = [f"sixfold_{dataset}" for dataset, plan in plans.items() if plan.facts.areas]
    return ["predict", *(f"train_{d}" for d in plans), *(f"clouds_{d}" for d in plans), *folded]


def recover(state: Path = Path(".snakemake")) -> None:
    """Remove what an earlier Snakemake left in this work tree, unless another one runs in it.

    The lock of a killed one would stop the next run, and its marks of unfinished outputs too,
    though no output can be unfinished here: each appears whole or not at all. Its records of rules'
    texts and inputs go as well: keys say what is stale, and existing inputs are not named to it.
    """
    running = state / "running"
    running.mkdir(parents=True, exist_ok=True)
    me = lease.process_identity()
    (running / provenance.digest(me)).write_text(me, encoding="utf-8")
    alone = True
    for path in running.iterdir():
        with suppress(FileNotFoundError):
            who = path.read_text(encoding="utf-8")
            if lease.is_gone(who):
                path.unlink()
            elif who != me:
                alone = False
    if alone:
        for left in ("locks", "incomplete", "metadata"):
            for path in (state / left).glob("**/*"):
                if path.is_file():
                    path.unlink()


def print_left_out(plan: Plan) -> None:
    """Print at the start which scans are left out, and why."""
    for sentence in plan.facts.left_out:
        print(f"{plan.dataset}: left out: {sentence}", file=sys.stderr, flush=True)


def summary(plan: Plan, of_folds: Mapping[str, Plan] | None = None) -> str:
    """Where everything is, for the end of a run; of folds if there are any."""
    facts = plan.facts
    lines = []
    if plan.results.is_dir():
        lines += [f"tables (txt, json, csv): {plan.results.parent / 'latest'}"]
    if of_folds:
        tables = folds.results(plan, of_folds).parent / "latest"
        lines = [f"tables (txt, json, csv) of {len(of_folds)} folds: {tables}"]
    elif plan.clouds.is_dir():
        latest = plan.clouds.parent / "latest"
        lines += [f"labelled clouds: {latest}/<scan>/{name}.ply" for name in facts.clouds]
    for area, fold in (of_folds or {"": plan}).items():
        of = f" (area {area} held out)" if area else ""
        for stage in fold.facts.trainers:
            runs = fold.facts.runs(stage)
            lines += [f"network {run}{of}: {fold.link(stage, run)}" for run in runs]
    lines += [f"entries: {facts.store}; links to them: {plan.work}; logs: logs/"]
    return "\n".join(f"{plan.dataset}: {line}" for line in lines)
