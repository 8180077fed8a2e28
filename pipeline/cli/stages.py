"""The stages as commands: `python -m pipeline STAGE PLAN LINK...`, which the rules call.

A link is of the work tree; its entry is found in the store, or made there from what the plan names,
and then linked. The others are made where one cannot be; the exit code is 1 then.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from pipeline.errors import BadInput
from pipeline.plan import graph

WAIT = 1.0  # seconds between two looks at what others are making

PATH = click.Path(path_type=Path)
ARGUMENTS = "PLAN is work/DATASET/plan.json, LINKS are paths to make. Snakemake's rules call this."


def make_all(
    run: Callable[[Path], str | None], job: str, links: list[Path], wait: float = WAIT
) -> int:
    """Make some entries, those last that somebody else is making; 1 where one could not be made."""
    failed, announced = False, False
    while links:
        waiting = []
        for link in links:
            name, begin = link.name.partition(".")[0], time.monotonic()
            try:
                done = run(link)
            except BadInput as error:
                failed = True
                print(f"{job} {name}: {error}", file=sys.stderr, flush=True)
                continue
            if done is None:
                waiting.append(link)
            else:
                print(f"{job} {name}: {done} in {time.monotonic() - begin:.1f} s", flush=True)
        if waiting == links:
            if not announced:
                print(f"{job}: waiting for others who make the same", flush=True)
            announced = True
            time.sleep(wait)
        links = waiting
    return 1 if failed else 0


def _run(stage: str, plan_path: Path, links: tuple[Path, ...]) -> None:
    from pipeline.jobs import entries, results
    from pipeline.plan.plan import Plan

    if stage in ("report", "sixfold"):
        tables = {"report": results.report, "sixfold": results.sixfold}
        click.echo(tables[stage](Plan.load(plan_path, "report"), links[0]))
        return
    plan = Plan.load(plan_path, stage)
    makers = {"simulate": results.simulator, "clouds": results.labeller}
    run = makers[stage](plan) if stage in makers else entries.maker(stage, plan)
    # The clouds of a scan are made together: of each folder once, whichever of them are asked for.
    paths = [*dict.fromkeys(link.parent for link in links)] if stage == "clouds" else [*links]
    if make_all(run, f"{plan.dataset} {stage}", paths):
        raise click.exceptions.Exit(1)


def _command(stage: str, about: str) -> click.Command:
    @click.command(stage, help=f"{about}\n\n{ARGUMENTS}")
    @click.argument("plan", type=PATH)
    @click.argument("links", type=PATH, nargs=-1, required=True)
    def command(plan: Path, links: tuple[Path, ...]) -> None:
        _run(stage, plan, links)

    return command


globals().update({name: _command(name, graph.about(name)) for name in graph.modules()})
sixfold = _command("sixfold", "Write the tables of all folds, each of which holds an area out.")


@click.command("transfer")
@click.argument("plans", type=PATH, nargs=2)
@click.argument("table", type=PATH)
def transfer(plans: tuple[Path, Path], table: Path) -> None:
    """Score the networks of two datasets on each other's scans, and write the tables."""
    from pipeline.jobs import transfer as job

    click.echo(job.transfer(plans, table))


@click.command("ablation")
@click.argument("plans", type=PATH, nargs=-1, required=True)
@click.argument("table", type=PATH)
def ablation(plans: tuple[Path, ...], table: Path) -> None:
    """Write the tables of an ablation, whose rows have a plan each."""
    from pipeline.jobs import results

    click.echo(results.ablation(plans, table))
