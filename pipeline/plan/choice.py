"""Which scans of a dataset to examine: the ones that were named, or a few spread over all."""

from collections.abc import Sequence

import numpy as np

from pipeline.errors import BadInput
from pipeline.plan.plan import Plan

SCANS = 3  # examined if none are named


def spread(scans: Sequence[str]) -> list[str]:
    """All scans, ordered so that each of the first few is far from the others.

    Position i of n has the fraction of i times the golden ratio.
    """
    count = len(scans)
    order = np.argsort((np.arange(count) * 0.6180339887) % 1, kind="stable")
    return [scans[np.flatnonzero(order == i)[0]] for i in range(count)]


def require_scan(plan: Plan, scan: str) -> None:
    """Raise `BadInput` where a scan is not one of the dataset's, or is not simulated yet."""
    if scan not in plan.facts.scans:
        remedy = (
            f"name one like {plan.facts.scans[0]}" if plan.facts.scans else "list some in `scans:`"
        )
        raise BadInput(plan.section.get("scans", plan.raw), f"names no scan {scan!r}", remedy)
    if plan.facts.simulated and not (plan.raw / f"{scan}.done").is_file():
        what = f"the room {scan} is not simulated yet"
        remedy = f"run: snakemake --cores all {plan.dataset}_simulate"
        raise BadInput(plan.raw, what, remedy)
