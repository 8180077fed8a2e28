"""The jobs that a run will have, by its plan: Snakemake's, before it has planned any."""

from collections.abc import Iterator, Mapping, Sequence

from pipeline.estimate.forecast import Forecast
from pipeline.estimate.schedule import Job
from pipeline.plan import batches, graph, machine
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import ONLY, Over

Made = tuple[str, str]  # stage and name


def jobs(plan: Plan, forecasts: Mapping[str, Forecast]) -> list[Job]:
    """A job for each batch of scans and each other entry that is missing, with its seconds.

    What is unknown takes none.
    """
    found: list[tuple[str, list[str]]] = []
    for stage, forecast in forecasts.items():
        missing = set(forecast.missing)
        for names in _batches(plan, stage, forecast):
            if some := [name for name in names if name in missing]:
                found.append((stage, some))
    makers = {(stage, name): n for n, (stage, names) in enumerate(found) for name in names}
    return [
        Job(
            number,
            stage,
            forecasts[stage].of_job(names) or 0.0,
            graph.stage(stage).threads(plan.facts),
            graph.stage(stage).gpus(plan.facts),
            _priority(stage),
            {makers[e] for name in names for e in _needs(plan, stage, name) if e in makers},
        )
        for number, (stage, names) in enumerate(found)
    ]


def _batches(plan: Plan, stage: str, forecast: Forecast) -> Sequence[Sequence[str]]:
    if graph.stage(stage).over is Over.SCAN:
        return batches.of_stage(plan, stage)
    return [[name] for name in forecast.missing]


def _needs(plan: Plan, stage: str, name: str) -> Iterator[Made]:
    yield from plan.inputs(stage, name)
    if stage == "page":
        yield "report", ONLY
    if plan.facts.simulated and graph.stage(stage).raw:
        yield "simulate", name


def _priority(stage: str) -> int:
    declared = graph.stage(stage)
    other = declared.priority_without_gpu
    return declared.priority if other is None or machine.own_gpus() else other
