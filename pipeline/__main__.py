"""`python -m pipeline STAGE PLAN LINK...`: make the entries behind some links of the work tree.

Each entry is found in the store, or made there from what the plan names, and then linked. Bad input
is told in one sentence; the other entries of the job are made nevertheless.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.jobs import jobs
from pipeline.plan.plan import Plan
from pipeline.store import damaged, entry, links, publish
from pipeline.store.lease import Leases

WAIT = 1.0  # seconds between two looks at what others are making


def main() -> int:
    """Make what is asked for; 1 where any of it could not be made."""
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    parser.add_argument("stage", help="a stage, `simulate`, `clouds`, `report` or `sixfold`")
    parser.add_argument("plan", type=Path, help="plan.json in the work tree")
    parser.add_argument("links", type=Path, nargs="+", help="what to make in the work tree")
    given = parser.parse_args()
    try:
        tables = {"report": jobs.report, "sixfold": jobs.sixfold}
        plan = Plan.load(given.plan, None if given.stage in tables else given.stage)
        if given.stage in tables:
            with damaged.moving_aside():
                print(tables[given.stage](plan, given.links[0]))
            return 0
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1
    runs = {"simulate": jobs.simulator, "clouds": labeller}
    run = runs.get(given.stage, partial(maker, given.stage))(plan)
    return make_all(run, f"{plan.dataset} {given.stage}", given.links)


def make_all(run: Callable[[Path], str | None], job: str, links: list[Path]) -> int:
    """Make some entries, those last that somebody else is making; 1 where one could not be made."""
    failed, told = False, False
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
            if not told:
                print(f"{job}: waiting for others who make the same", flush=True)
            told = True
            time.sleep(WAIT)
        links = waiting
    return 1 if failed else 0


def maker(stage: str, plan: Plan) -> Callable[[Path], str | None]:
    """What finds or makes the entries of a stage: None while somebody else makes that one.

    The stage itself is loaded when first needed.
    """
    loaded: list[Callable[[str, Path], None]] = []
    leases = Leases()

    def run(link: Path) -> str | None:
        name = link.name.partition(".")[0]
        if link != plan.link(stage, name):
            what = f"{link} is not of this plan, which another run has replaced"
            raise BadInput(plan.path, what, "run snakemake again")
        home = plan.home(stage, name)
        done = "found"
        if not entry.present(home):
            with leases.take(home) as mine:
                if not mine:
                    return None
                if not entry.present(home):
                    make(name, home)
                    done = "made"
        links.point(link, home)
        return done

    def make(name: str, home: Path) -> None:
        if not loaded:
            loaded.append(jobs.load(stage, plan))
        with damaged.moving_aside(), publish.place(home, plan.own_recipe(stage)) as path:
            loaded[0](name, path)

    return run


def labeller(plan: Plan) -> Callable[[Path], str]:
    """What writes the clouds of a scan into a folder; an entry found damaged is moved away."""
    run = jobs.labeller(plan)

    def guarded(folder: Path) -> str:
        with damaged.moving_aside():
            return run(folder)

    return guarded


if __name__ == "__main__":
    sys.exit(main())
