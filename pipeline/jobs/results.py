"""How results are made that are not entries: simulated scans, labelled clouds, tables."""

import json
import shutil
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.jobs.entries import load_worker, request, require_inputs, sound
from pipeline.plan import ablation as ablations
from pipeline.plan import folds, graph
from pipeline.plan.plan import Plan
from pipeline.simulate.settle import settle
from pipeline.stages.declaration import ONLY
from pipeline.store import damaged, entry, filesystem, links
from pipeline.store.usage import Use


def simulator(plan: Plan) -> Callable[[Path], str]:
    """What writes the raw files of a simulated scan: they count once their mark is there."""
    declared = graph.stage("simulate")
    simulate_scan = import_module(declared.module(plan.facts)).simulate_scan

    def run(done: Path) -> str:
        scan = done.name.partition(".")[0]
        split = "train" if scan in plan.splits["train"] else "val"
        partial = plan.raw / f"{entry.SCRATCH}{scan}"
        shutil.rmtree(partial, ignore_errors=True)
        params, use = declared.params(plan.facts), Use()
        simulate_scan(scan, plan.facts.seeds[scan], split, params, partial)
        size = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
        settle(partial, plan.raw)
        done.write_text(json.dumps({"bytes": size, **use.so_far()}), encoding="utf-8")
        filesystem.reset_time(done)
        return "simulated"

    return run


def labeller(plan: Plan) -> Callable[[Path], str]:
    """What writes the labelled clouds of a scan into a folder of its name.

    Each network is loaded once for all scans.
    """
    worker = load_worker("clouds", plan.facts)

    def run(folder: Path) -> str:
        scan = folder.name
        require_inputs(plan, "clouds", scan)
        sources = {source: plan.home(*source) for source in plan.inputs("clouds", scan)}
        with damaged.moving_aside(), sound(sources.values()):
            worker(folder, request(plan, "clouds", scan, folder, sources))
        links.show_latest(plan.clouds)
        return "labelled"

    return run


def report(plan: Plan, table: Path) -> str:
    """Write `table` (.txt) with .json and .csv, and return the text."""
    require_inputs(plan, "report", ONLY)
    stored = {s: plan.home(*s) for s in plan.inputs("report", ONLY) if graph.stage(s[0]).stored}
    made = {("clouds", scan): plan.clouds / scan for scan in plan.facts.scans}
    with damaged.moving_aside(), sound(stored.values()):
        worker = load_worker("report", plan.facts)
        text: str = worker(table, request(plan, "report", ONLY, table, stored | made))
    if not plan.facts.scored:  # there the clouds are the result
        for scan in plan.facts.scans:
            links.point(plan.results / scan, plan.clouds / scan)
    links.show_latest(plan.results)
    return text


def sixfold(plan: Plan, table: Path) -> str:
    """Write the tables of all folds, as `report` does, and return the text."""
    from model.reports.folds import write_folds

    of_folds = folds.folds(plan).items()
    found = {area: _results(fold, folds.scores(fold)) for area, fold in of_folds}
    facts, prefix = plan.facts, table.with_suffix("")
    text = write_folds(found, prefix, plan.dataset, facts.protocol, simulated=facts.simulated)
    links.point(table.parent.parent / "latest", table.parent)
    return text


def ablation(plans: Sequence[Path], table: Path) -> str:
    """Write the tables of the rows of an ablation, as `report` does, and return the text.

    Raises `BadInput` where the plans or the code have changed since then.
    """
    from model.reports.ablation import Row, write_ablation

    rows = {str(row.facts.row): row for row in (Plan.load(path, "report") for path in plans)}
    if table.parent != ablations.results(rows):
        what = "is not of these plans, or the code has changed since the run was planned"
        raise BadInput(table, what, "run snakemake again")
    found, base = [], next(iter(rows.values()))
    for name, scored in ablations.scores(rows).items():
        changes = list(ablations.changes(base.section, rows[name].section))
        found.append(Row(name, changes, _results(rows[name], scored)))
    facts, prefix = base.facts, table.with_suffix("")
    text = write_ablation(found, prefix, facts.dataset, facts.protocol, facts.simulated)
    links.show_latest(table.parent)
    return text


def _results(plan: Plan, scores: Sequence[str]) -> list[dict[str, Any]]:
    """The results of some scores of a plan, whose entries are checked."""
    from model.reports.lines import grouped
    from model.scoring.results import read_results

    homes = [plan.home(plan.facts.evaluator(name), name) for name in scores]
    with damaged.moving_aside(), sound(homes):
        found = [result for home in homes for result in read_results(home)]
    return grouped(found, plan.facts.groups)
