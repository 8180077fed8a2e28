"""The tables of transfer: networks scored on the scans of another dataset, in both directions."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.scoring.results import read_results
from pipeline.errors import BadInput
from pipeline.jobs.entries import sound
from pipeline.plan.plan import Plan
from pipeline.plan.transfer import Transfer
from pipeline.store import damaged, links, notes

if TYPE_CHECKING:
    from model.reports.transfer_report import Group


def transfer(plans: tuple[Path, Path], table: Path) -> str:
    """Write `table` (.txt) of two plans with .json and .csv; return the text.

    Raises `BadInput` where the plans or the code have changed since then.
    """
    planned = Transfer(*(Plan.load(path) for path in plans))
    if table.parent != planned.results:
        what = "is not of these plans, or the code has changed since the run was planned"
        raise BadInput(table, what, "run snakemake again")
    with damaged.moving_aside():
        return report(planned, table)


def report(transfer: Transfer, table: Path) -> str:
    """Score the networks, write `table` with .json and .csv, and return the text."""
    from model.reports.transfer_report import write_report

    failed = [notes.read(plan.link(*entry)) for plan, entry in transfer.entries]
    if any(failed):
        raise notes.NotMade("transfer", [note for note in failed if note])
    with sound([plan.home(*entry) for plan, entry in transfer.entries]):
        groups = [
            group for direction in transfer.directions for group in _groups(*direction, transfer)
        ]
    text = write_report(
        table.with_suffix(""),
        {plan.dataset: plan.facts.classes for plan in transfer.plans},
        groups,
        {plan.dataset: plan.facts.protocol for plan in transfer.plans},
        [plan.dataset for plan in transfer.plans if plan.facts.simulated],
    )
    links.show_latest(table.parent)
    return text


def _groups(taught: Plan, asked: Plan, transfer: Transfer) -> list["Group"]:
    """Networks of `taught` on the scans of `asked`, and the own networks of `asked`."""
    from model.reports.transfer_report import Group
    from model.scoring.results import restricted

    homes = [asked.home(asked.facts.evaluator(run), run) for run in _own_runs(taught, asked)]
    transferred = _transferred(taught, asked)
    rows = {result["row"] for result in transferred}  # without those that need images
    of_own = [r for home in homes for r in read_results(home) if r["row"] in rows]
    found = []
    for plan, results in ((taught, transferred), (asked, of_own)):
        if results:
            which = (plan.dataset, asked.dataset)
            found.append(Group(*which, "all", results))
            if transfer.common:
                kept = [restricted(result, transfer.common) for result in results]
                found.append(Group(*which, "common", kept))
    return found


def _own_runs(taught: Plan, asked: Plan) -> list[str]:
    """The networks of `asked` that are of the same variant and seed as those of `taught`."""
    return [run for run in taught.facts.weak_networks if run in asked.facts.weak_networks]


def _transferred(taught: Plan, asked: Plan) -> list[dict[str, Any]]:
    from model.data.labels import LabelledScan
    from model.scoring.transfer import evaluate_transferred

    scans = [
        LabelledScan(scan, asked.home("voxels", scan), asked.home("labels", scan))
        for scan in asked.splits["val"]
    ]
    return [
        result
        for run in taught.facts.weak_networks
        for result in evaluate_transferred(
            taught.home(taught.facts.trainer(run), run), asked.facts.classes, scans, "val"
        )
    ]
