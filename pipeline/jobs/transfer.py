"""`python -m pipeline.jobs.transfer PLAN PLAN TABLE`: score networks on another dataset's scans.

It is done in both directions; the tables lie beside TABLE, where a run planned them.
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import BadInput
from pipeline.jobs import jobs
from pipeline.plan.plan import Plan
from pipeline.plan.transfer import Transfer
from pipeline.store import damaged, links

if TYPE_CHECKING:
    from model.reports.transfer_report import Group


def main() -> int:
    """Write the tables; 1 where they could not be made."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.plan.transfer", description=__doc__)
    parser.add_argument("plans", type=Path, nargs=2, help="plan.json of either dataset")
    parser.add_argument("table", type=Path, help="the table to write, as text")
    given = parser.parse_args()
    try:
        transfer = Transfer(*(Plan.load(path) for path in given.plans))
        if given.table.parent != transfer.results:
            what = "is not of these plans, or the code has changed since the run was planned"
            raise BadInput(given.table, what, "run snakemake again")
        with damaged.moving_aside():
            print(report(transfer, given.table))
    except BadInput as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def report(transfer: Transfer, table: Path) -> str:
    """Score what is to be scored, write the tables beside `table` and return the one in text."""
    from model.reports.transfer_report import write_report

    with ExitStack() as checked:
        for plan in transfer.plans:
            for run in plan.runs["train"]:
                checked.enter_context(jobs.named_damage(plan, "evaluate", run))
        groups = [
            group for direction in transfer.directions for group in _groups(*direction, transfer)
        ]
    text = write_report(
        table.with_suffix(""),
        {plan.dataset: plan.facts["classes"] for plan in transfer.plans},
        groups,
        {plan.dataset: plan.protocol for plan in transfer.plans},
        [plan.dataset for plan in transfer.plans if plan.simulated],
    )
    links.show_latest(table.parent)
    return text


def _groups(taught: Plan, asked: Plan, transfer: Transfer) -> list["Group"]:
    """Networks of `taught` on the scans of `asked`, and its own beside them."""
    from model.reports.transfer_report import Group
    from model.scoring.transfer import restricted

    runs = taught.runs["train"]
    homes = [asked.home("evaluate", run) for run in runs if run in asked.runs["train"]]
    of_own = [result for home in homes for result in jobs.read_scores(home)]
    found = []
    for plan, results in ((taught, _transferred(taught, asked)), (asked, of_own)):
        if results:
            which = (plan.dataset, asked.dataset)
            found.append(Group(*which, "all", results))
            if transfer.common:
                kept = [restricted(result, transfer.common) for result in results]
                found.append(Group(*which, "common", kept))
    return found


def _transferred(taught: Plan, asked: Plan) -> list[dict[str, Any]]:
    from model.scoring.labels import LabelledScan
    from model.scoring.transfer import score_transferred

    scans = [
        LabelledScan(scan, asked.home("voxels", scan), asked.home("labels", scan))
        for scan in asked.splits["val"]
    ]
    classes = asked.facts["classes"]
    return [
        score_transferred(taught.home("train", run), classes, scans, "val")
        for run in taught.runs["train"]
    ]


if __name__ == "__main__":
    sys.exit(main())
