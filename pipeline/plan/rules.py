"""What the rules of one dataset are given of its plan."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.plan import ablation, batches, folds, graph
from pipeline.plan.batches import links
from pipeline.plan.machine import Resources, own_gpus, resources_of
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import ONLY, Over, Stage
from pipeline.store.links import PAGE


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
    resources: Resources
    group: str | None = None  # of rules whose jobs a cluster is given together


def pathvars(plan: Plan, tables: Path | None = None) -> dict[str, str]:
    """The folders that the rules name as <name>; one more if tables go elsewhere."""
    others = {folder: "/".join([folder, *plan.parts]) for folder in ("logs", "benchmarks")}
    return others | ({"tables": str(tables)} if tables else {})


def rules_of_scans(plan: Plan) -> Iterator[Rule]:
    """The rules whose entries all folds of a dataset share, and the simulation of its scans."""
    for stage in plan.stages:
        if graph.stage(stage).over is Over.SCAN and stage != "clouds":
            yield from _rules_of_batches(plan, stage)
        elif not graph.per_split(stage) and graph.stage(stage).stored:
            yield _rule_of_stage(plan, stage)


def rules_of_split(plan: Plan) -> Iterator[Rule]:
    """The rules whose entries depend on which scans are trained on: networks and their counts."""
    for stage in plan.stages:
        if graph.per_split(stage):
            yield _rule_of_stage(plan, stage)


def rules_of_rows(plan: Plan, of_rows: Mapping[str, Plan]) -> Iterator[tuple[Plan, list[Rule]]]:
    """The rows of an ablation with the rules of what no row before and not the plan itself has."""
    made = {*plan.keys.items()}
    for row in of_rows.values():
        own = {*row.keys.items()} - made
        made |= own
        every = [*rules_of_scans(row), *rules_of_split(row)]
        found = [rule for rule in every if (rule.stage, row.keys[rule.stage]) in own]
        if found:
            yield row, found


def rules_of_results(plan: Plan) -> Iterator[Rule]:
    """The tables, and the labelled clouds of each scan."""
    tables = _tables(plan.results)
    needed = links(plan, plan.inputs("report", ONLY))
    if not plan.facts.scored:
        needed += map(str, plan.cloud_files())
    yield _rule(plan, graph.stage("report"), "report", needed, tables)
    yield from _rules_of_batches(plan, "clouds")


def page_of(plan: Plan, results: Path) -> dict[str, Any]:
    """The `config` of the rule that makes the page about the tables in a folder."""
    page, stage = plan.page(results), graph.stage("page")
    return {
        "plan": str(plan.path),
        "inputs": [*_tables(results), *links(plan, plan.inputs("page", ONLY))],
        "page": str(page),
        "run": str(page.with_name(PAGE[1])),
        "resources": resources_of(stage.memory_mb, stage.minutes),
    }


def _tables(results: Path) -> list[str]:
    return [str(results / f"table.{suffix}") for suffix in ("txt", "json", "csv")]


def tables(
    plan: Plan, of_folds: Mapping[str, Plan] | None, of_rows: Mapping[str, Plan] | None
) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """The tables of several plans: command, folder, and the `config` of the rule."""
    if of_folds:
        scored = {area: folds.scores(fold) for area, fold in of_folds.items()}
        folder = folds.results(plan, of_folds)
        settings = {"plans": [str(plan.path)], "counts": _counts(of_folds, scored)}
        page = {"page": page_of(plan, folder)}
        yield "sixfold", folder, {"command": "sixfold", **settings, **page}
    if of_rows:
        paths, counts = [str(p.path) for p in of_rows.values()], ablation.scores(of_rows)
        folder, base = ablation.results(of_rows), next(iter(of_rows.values()))
        settings = {"plans": paths, "counts": _counts(of_rows, counts)}
        page = {"page": page_of(base, folder)}
        yield "ablation", folder, {"command": "ablation", **settings, **page}


def _counts(plans: Mapping[str, Plan], scored: Mapping[str, Sequence[str]]) -> list[str]:
    found = (
        links(plan, [(plan.facts.evaluator(name), name) for name in scored[of]])
        for of, plan in plans.items()
    )
    return [*dict.fromkeys(link for each in found for link in each)]


def _rules_of_batches(plan: Plan, stage: str) -> Iterator[Rule]:
    """A rule for each batch of the scans of a stage."""
    for number, batch in enumerate(batches.of_stage(plan, stage)):
        outputs = [str(path) for scan in batch for path in plan.places(stage, scan)]
        needed = batches.inputs(plan, stage, batch)
        name = f"{stage}_{number}"
        rule = _rule(plan, graph.stage(stage), f"{number}", needed, outputs, name, len(batch))
        yield replace(rule, group=_group(plan, stage))


def _group(plan: Plan, stage: str) -> str | None:
    """What a cluster is given together of a batch: its stages before the GPU's, and those after.

    Most of them take less time than a job of a cluster needs to begin.
    """
    if graph.stage(stage).gpu:
        return None
    return "_".join([*plan.parts, "after" if graph.after_gpu(stage) else "before", "gpu"])


def _rule_of_stage(plan: Plan, stage: str) -> Rule:
    """One rule for all entries of a stage that is not of scans."""
    declared = graph.stage(stage)
    if declared.over is Over.DATASET:
        needed, output = links(plan, plan.inputs(stage, ONLY)), str(plan.link(stage, ONLY))
        return _rule(plan, declared, stage, needed, [output])
    return _rule(plan, declared, "{name}", _inputs(plan, stage), [str(plan.link(stage, "{name}"))])


def _rule(
    plan: Plan,
    stage: Stage,
    log: str,
    input_: Any,
    output: list[str],
    name: str | None = None,
    count: int = 1,
) -> Rule:
    facts, place = plan.facts, f"{stage.name}/{log}"
    priority = stage.priority
    if stage.priority_without_gpu is not None and not own_gpus():
        priority = stage.priority_without_gpu
    return Rule(
        name or stage.name,
        stage.name,
        input_,
        output,
        f"<logs>/{place}.log",
        f"<benchmarks>/{place}.tsv",
        stage.threads(facts),
        priority,
        resources_of(stage.memory_mb, stage.minutes * count, stage.gpus(facts), stage.nodes(facts)),
    )


def _inputs(plan: Plan, stage: str) -> Any:
    """What a rule with a wildcard `name` needs."""
    return lambda wildcards: links(plan, plan.inputs(stage, wildcards.name))
