"""What the user reads of a run: at its start what is left out, and at its end where all is."""

import sys
from collections.abc import Mapping

from pipeline.plan import ablation, folds
from pipeline.plan.plan import Plan
from pipeline.store.links import PAGE


def print_left_out(plan: Plan) -> None:
    """Print at the start which scans are left out, and why."""
    for sentence in plan.facts.left_out:
        print(f"{plan.dataset}: left out: {sentence}", file=sys.stderr, flush=True)


def summary(
    plan: Plan,
    of_folds: Mapping[str, Plan] | None = None,
    of_rows: Mapping[str, Plan] | None = None,
) -> str:
    """The tables and where everything is, for the end of a run; of folds and an ablation too."""
    facts, tables = plan.facts, [plan.results]
    lines = []
    if plan.results.is_dir():
        latest = plan.results.parent / "latest"
        lines += [f"page: {latest / PAGE[0]}", f"tables (txt, json, csv): {latest}"]
    if of_folds:
        tables = [folds.results(plan, of_folds)]
        latest, of = tables[0].parent / "latest", f"of {len(of_folds)} folds"
        lines = [f"page {of}: {latest / PAGE[0]}", f"tables (txt, json, csv) {of}: {latest}"]
    elif plan.clouds.is_dir():
        latest = plan.clouds.parent / "latest"
        lines += [f"labelled clouds: {latest}/<scan>/{name}.ply" for name in facts.clouds]
    if of_rows:
        tables.append(ablation.results(of_rows))
        latest = tables[-1].parent / "latest"
        of = f"of the {len(of_rows)} rows of the ablation"
        lines += [f"page {of}: {latest / PAGE[0]}", f"tables (txt, json, csv) {of}: {latest}"]
    for area, fold in (of_folds or {"": plan}).items():
        of = f" (area {area} held out)" if area else ""
        for stage in fold.facts.trainers:
            runs = fold.facts.runs(stage)
            made = {run: fold.link(stage, run) for run in runs}
            lines += [f"network {r}{of}: {link}" for r, link in made.items() if link.is_symlink()]
    lines += [f"entries: {facts.store}; links to them: {plan.work}; logs: logs/"]
    texts = [path.read_text() for path in (t / "table.txt" for t in tables) if path.is_file()]
    return "\n".join([*texts, *(f"{plan.dataset}: {line}" for line in lines)])
