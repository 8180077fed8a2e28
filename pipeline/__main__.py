"""`python -m pipeline STAGE PLAN LINK...`: make the entries behind some links of the work tree.

Each entry is found in the store, or made there from what the plan names, and then linked. Bad input
is told in one sentence; the other entries of the job are made nevertheless.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pipeline import jobs, store
from pipeline.errors import BadInput
from pipeline.plan import Plan


def main() -> int:
    """Make what is asked for; 1 where any of it could not be made."""
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    parser.add_argument("stage", help="a stage, `simulate` or `report`")
    parser.add_argument("plan", type=Path, help="plan.json in the work tree")
    parser.add_argument("links", type=Path, nargs="+", help="what to make in the work tree")
    given = parser.parse_args()
    try:
        plan = Plan.load(given.plan, None if given.stage == "report" else given.stage)
        if given.stage == "report":
            print(jobs.report(plan, given.links[0]))
            return 0
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1
    run = jobs.simulator(plan) if given.stage == "simulate" else maker(given.stage, plan)
    results = [attempt(run, f"{plan.dataset} {given.stage}", link) for link in given.links]
    return 0 if all(results) else 1


def attempt(run: Callable[[Path], str], job: str, link: Path) -> bool:
    """Make one entry and say how it went."""
    name = link.name.partition(".")[0]
    begin = time.monotonic()
    try:
        done = run(link)
    except BadInput as error:
        print(f"{job} {name}: {error}", file=sys.stderr, flush=True)
        return False
    print(f"{job} {name}: {done} in {time.monotonic() - begin:.1f} s", flush=True)
    return True


def maker(stage: str, plan: Plan) -> Callable[[Path], str]:
    """What finds or makes the entries of a stage; the stage itself is loaded when first needed."""
    loaded: list[Callable[[str, Path], None]] = []

    def run(link: Path) -> str:
        name = link.name.partition(".")[0]
        if link != plan.link(stage, name):
            what = f"{link} is not of this plan, which another run has replaced"
            raise BadInput(plan.path, what, "run snakemake again")
        home = plan.home(stage, name)
        done = "found"
        if not home.exists():
            if not loaded:
                loaded.append(jobs.load(stage, plan))
            with store.place(home) as path:
                loaded[0](name, path)
            done = "made"
        store.point(link, home)
        return done

    return run


if __name__ == "__main__":
    sys.exit(main())
