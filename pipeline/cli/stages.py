"""The stages as commands: `python -m pipeline STAGE PLAN LINK...`, which the rules call.

A link is of the work tree; its entry is found in the store, or made there from what the plan names,
and then linked. Where one cannot be made the others are, and the exit code is 1; in a run that
keeps going a note takes the place of what belongs to that scan, and the exit code is 0.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import BadInput, Stopped
from pipeline.plan import graph
from pipeline.stages.declaration import Over
from pipeline.store import notes
from pipeline.store.notes import Note, NotMade

if TYPE_CHECKING:
    from pipeline.plan.plan import Plan

TRY_AGAIN = os.EX_TEMPFAIL  # the exit code of a job that was stopped from outside

WAIT = 1.0  # seconds between two looks at what others are making

PATH = click.Path(path_type=Path)
ARGUMENTS = "PLAN is work/DATASET/plan.json, LINKS are paths to make. Snakemake's rules call this."


def make_all(
    run: Callable[[Path], str | None],
    job: str,
    links: list[Path],
    wait: float = WAIT,
    note: Callable[[str, Note], None] | None = None,
) -> int:
    """Make some entries, those last that somebody else is making; 1 where one could not be made.

    It ends at once, with `TRY_AGAIN`, where one was stopped from outside.

    `note` is called with the name of one that could not be made, which then does not count.
    """
    failed, announced = False, False
    while links:
        waiting = []
        for link in links:
            name, begin = link.name.partition(".")[0], time.monotonic()
            try:
                done = run(link)
            except Stopped as stopped:
                with suppress(OSError):  # what writes the log may have been stopped, too
                    _say(f"{job} {name}", stopped, passing=False)
                return TRY_AGAIN
            except Exception as error:
                _say(f"{job} {name}", error, passing=note is not None)
                if note:
                    note(name, _first(job, name, error))
                failed = failed or not note
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


def _say(what: str, error: Exception, passing: bool) -> None:
    """Print a failure; in one line if it was printed where it happened, and is passed on."""
    sentence = str(error)
    if isinstance(error, NotMade) and passing:
        sentence = f"passed over, since {error.first.failed} of {error.first.scan} failed"
    elif not isinstance(error, BadInput | Stopped):
        traceback.print_exception(error)
    print(f"{what}: {sentence}", file=sys.stderr, flush=True)


def _first(job: str, name: str, error: Exception) -> Note:
    """What a note says of a failure: the first on the way."""
    if isinstance(error, NotMade):
        return error.first
    sentence = str(error) if isinstance(error, BadInput) else repr(error)
    return Note(job.rpartition(" ")[2], name, sentence)


def _noting(plan: "Plan", stage: str) -> Callable[[str, Note], None] | None:
    """What writes notes in the places of a scan, in a run that keeps going."""
    if not plan.facts.keep_going or graph.stage(stage).over is not Over.SCAN:
        return None

    def write(name: str, note: Note) -> None:
        for place in plan.places(stage, name):
            notes.write(place, note)

    return write


def _run(stage: str, plan_path: Path, links: tuple[Path, ...]) -> None:
    from pipeline.jobs import entries, gpus, results
    from pipeline.plan.plan import Plan

    if stage in ("report", "sixfold"):
        tables = {"report": results.report, "sixfold": results.sixfold}
        click.echo(tables[stage](Plan.load(plan_path, "report"), links[0]))
        return
    plan = Plan.load(plan_path, stage)
    if stage == "page":
        from pipeline.jobs import pages

        click.echo(pages.page(plan, links[0]))
        return
    makers = {"simulate": results.simulator, "clouds": results.labeller}
    run = makers[stage](plan) if stage in makers else entries.maker(stage, plan)
    # The clouds of a scan are made together: of each folder once, whichever of them are asked for.
    paths = [*dict.fromkeys(link.parent for link in links)] if stage == "clouds" else [*links]
    # First of all: who has a GPU may wait for what others make, but not the other way round.
    with gpus.taken(graph.stage(stage).gpus(plan.facts)):
        code = make_all(run, f"{plan.dataset} {stage}", paths, note=_noting(plan, stage))
    if code:
        raise click.exceptions.Exit(code)


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
    from pipeline.jobs import gpus
    from pipeline.jobs import transfer as job

    with gpus.taken(1):
        click.echo(job.transfer(plans, table))


@click.command("ablation")
@click.argument("plans", type=PATH, nargs=-1, required=True)
@click.argument("table", type=PATH)
def ablation(plans: tuple[Path, ...], table: Path) -> None:
    """Write the tables of an ablation, whose rows have a plan each."""
    from pipeline.jobs import results

    click.echo(results.ablation(plans, table))


@click.command("page-of-tables")
@click.argument("plan", type=PATH)
@click.argument("table", type=PATH)
@click.argument("page", type=PATH)
def page_of_tables(plan: Path, table: Path, page: Path) -> None:
    """Write the page about tables of folds, an ablation or a transfer: TABLE is their json file."""
    from pipeline.jobs import pages

    click.echo(pages.page_of_tables(plan, table, page))
