"""What the rules of one dataset are told of its plan, and the user at the end."""

import glob
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.plan import folds, provenance
from pipeline.plan.plan import Entry, Plan
from pipeline.store import lease


def gpus() -> int:
    """How many jobs that use a GPU may run at once: without one, the cores are the only limit."""
    return len(glob.glob("/dev/nvidia[0-9]*")) or os.cpu_count() or 1


def pathvars(plan: Plan, of_folds: Mapping[str, Plan] | None = None) -> dict[str, str]:
    """The folders that stand as <name> in the rules: one for each stage, and some beside them.

    One more if the plan has folds, here and in `settings` by the area that each holds out.
    """
    stages = {stage: str(plan.link(stage, "any").parent) for stage in plan.keys}
    others = {folder: "/".join([folder, *plan.parts]) for folder in ("logs", "benchmarks")}
    if of_folds:
        others["sixfold"] = str(folds.results(plan, of_folds))
    return {**stages, **others, "raw": str(plan.raw), "results": str(plan.results)}


def settings(plan: Plan, of_folds: Mapping[str, Plan] | None = None) -> dict[str, Any]:
    """What stands as `config` in the rules."""

    def links(entries: Iterable[Entry], plan: Plan = plan) -> list[str]:
        # What the store holds needs no planning: Snakemake is only told what is still to be made.
        paths = (plan.link(*entry) for entry in entries)
        return [str(path) for path in paths if not path.is_symlink()]

    scans, batch = plan.scans, plan.section["scans_per_job"]
    results = plan.results
    tagged = scans if of_folds else plan.splits["train"]  # who is held out once is trained on too
    return {
        "plan": str(plan.path),
        "inputs": lambda stage, name: links(plan.inputs(stage, name)),
        "tagged": tagged,
        "batches": [scans[i : i + batch] for i in range(0, len(scans), batch)],
        "scores": links(("evaluate", name) for name in plan.scores),
        "scores_of_folds": [
            link
            for fold in (of_folds or {}).values()
            for link in links([("evaluate", name) for name in folds.scores(fold)], fold)
        ],
        "clouds": [*plan.clouds],
        "labelled": [f"{results}/{s}/{c}.ply" for s in scans for c in plan.clouds],
        "sources_of_tags": links(source for scan in tagged for source in plan.inputs("tags", scan)),
        "raw": "<raw>/{scan}.done" if plan.simulated else [],
        "threads": plan.section["threads"],
        "workers": plan.section["workers"],
    }


def targets(plans: Mapping[str, Plan]) -> list[str]:
    """What can be asked for; all folds where scans have areas."""
    folded = [f"sixfold_{dataset}" for dataset, plan in plans.items() if plan.facts["areas"]]
    return [*(f"train_{dataset}" for dataset in plans), *folded]


def recover(state: Path = Path(".snakemake")) -> None:
    """Clear what an earlier Snakemake left in this work tree, unless another one runs in it.

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


def tell(plan: Plan) -> None:
    """Say at the start which scans are left out, and why."""
    for sentence in plan.facts["left_out"]:
        print(f"{plan.dataset}: left out: {sentence}", file=sys.stderr, flush=True)


def summary(plan: Plan, of_folds: Mapping[str, Plan] | None = None) -> str:
    """Where everything is, for the end of a run; of folds if there are any."""
    latest = plan.results.parent / "latest"
    lines = [f"tables (txt, json, csv): {latest}"]
    if of_folds:
        tables = folds.results(plan, of_folds).parent / "latest"
        lines = [f"tables (txt, json, csv) of {len(of_folds)} folds: {tables}"]
    lines += [f"labelled clouds: {latest}/<scan>/{name}.ply" for name in plan.clouds]
    for area, fold in (of_folds or {"": plan}).items():
        of = f" (area {area} held out)" if area else ""
        for stage, runs in fold.runs.items():
            lines += [f"network {run}{of}: {fold.link(stage, run)}" for run in runs]
    lines += [f"entries: {plan.facts['store']}; links to them: {plan.work}; logs: logs/"]
    return "\n".join(f"{plan.dataset}: {line}" for line in lines)
