"""How pages about results are made, each with a run.json that says what was asked."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.jobs.asked import asked
from pipeline.jobs.entries import load_worker, request, require_inputs, sound
from pipeline.plan import folds, graph
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import ONLY
from pipeline.store import damaged, filesystem, links
from pipeline.whole_file import replaced


def page(plan: Plan, path: Path) -> str:
    """Write the page about a dataset to `path`, and say where it is."""
    require_inputs(plan, "page", ONLY)
    stored = {s: plan.home(*s) for s in plan.inputs("page", ONLY) if graph.stage(s[0]).stored}
    made = {("report", ONLY): plan.results / "table.json"}
    with damaged.moving_aside(), sound(stored.values()):
        worker = load_worker("page", plan.facts)
        given = request(plan, "page", ONLY, path, stored | made)
        return _write(plan, plan.results, path, lambda part, said: worker(part, given, said))


def page_of_tables(plan_path: Path, table: Path, path: Path) -> str:
    """Write the page about tables of several plans, `table` (.json), to `path`; say where it is.

    The plan is the first of them. Raises `BadInput` where the code of pages has changed since it
    was made.
    """
    from model.pages import ablation
    from model.pages.page import render

    plan, content = Plan.load(plan_path, "page"), json.loads(table.read_text(encoding="utf-8"))

    def write(part: Path, said: Mapping[str, Any]) -> None:
        if "results" in content:
            text = _of_folds(plan, content, said)
        else:
            text = (ablation.render if "rows" in content else render)(content, said)
        part.write_text(text, encoding="utf-8")

    return _write(plan, table.parent, path, write)


def _of_folds(plan: Plan, content: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """The page about all folds: scans are shown with networks that were not trained on them."""
    worker, of_folds, shown = load_worker("page", plan.facts), folds.folds(plan), []
    for scan, why in worker.scored(plan.facts, content).items():
        fold = of_folds[plan.facts.areas[scan]]
        read = (scan, ONLY, *fold.facts.networks, *fold.facts.imported)
        sources = [s for s in fold.inputs("page", ONLY) if s[1] in read and s[0] != "report"]
        homes = {source: fold.home(*source) for source in sources}
        with damaged.moving_aside(), sound(homes.values()):
            given = request(fold, "page", ONLY, plan.page(plan.results), homes)
            shown += worker.paint(given, {scan: why})
    text: str = worker.render(plan.facts, content, said, shown)
    return text


def _write(
    plan: Plan, results: Path, path: Path, draw: Callable[[Path, Mapping[str, Any]], None]
) -> str:
    """Write the files of a page as a whole, and link them beside the tables that it is about."""
    if path != plan.page(results):
        what = "is not of this plan, or the code has changed since the run was planned"
        raise BadInput(path, what, "run snakemake again")
    said = asked(plan)
    with filesystem.write_errors(path), replaced(path) as partial:
        draw(partial, said)
        text = json.dumps(said, indent=1, sort_keys=True)
        path.with_name(links.PAGE[1]).write_text(text, encoding="utf-8")
    links.show_page(results, path)
    return f"page: {results.parent / 'latest' / path.name}"
