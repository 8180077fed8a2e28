"""Which entries are to be taken from somewhere and which are to be made, from the results up.

What is there needs nothing of what it was made from.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from pipeline.plan import batches, graph
from pipeline.plan.plan import Plan
from pipeline.stages.declaration import ONLY, Entry, Over
from pipeline.store import entry


class Elsewhere(Protocol):
    """Where entries, and digests of raw files, may come from besides the store."""

    def bring_digests(self, plan: Plan) -> None:
        """Put digests of raw files into the store of a plan that lacks them."""

    def bring_weights(self, tower: Mapping[str, Any], store: Path) -> None:
        """Put the digest of weights into a store that lacks it."""

    def has(self, plan: Plan, what: Entry) -> bool:
        """Whether an entry can be taken from there."""


class Nowhere:
    """There is nothing besides the store."""

    def bring_digests(self, plan: Plan) -> None:
        """Bring nothing."""

    def bring_weights(self, tower: Mapping[str, Any], store: Path) -> None:
        """Bring nothing."""

    def has(self, plan: Plan, what: Entry) -> bool:
        """It has nothing."""
        return False


NOWHERE = Nowhere()


def tables(plan: Plan) -> list[Entry]:
    """What the tables of a plan and their page are made from."""
    return [*plan.inputs("report", ONLY), *plan.inputs("page", ONLY)]


def divide(
    plan: Plan, roots: Iterable[Entry], there: Callable[[Entry], bool]
) -> tuple[list[Entry], list[Entry]]:
    """The entries that are there, of those that are needed for `roots`, and those to be made.

    A job makes a batch of scans, so what is needed for one of a batch is needed for all of it.
    """
    found: list[Entry] = []
    made: list[Entry] = []
    seen: set[Entry] = set()
    waiting = [*roots]
    mates: dict[str, dict[str, list[str]]] = {}
    while waiting:
        what = waiting.pop()
        if what in seen:
            continue
        seen.add(what)
        stage, name = what
        declared = graph.stage(stage)
        if declared.stored and there(what):
            found.append(what)
            continue
        made.append(what)
        waiting += plan.inputs(stage, name)
        if declared.over is Over.SCAN:
            if stage not in mates:
                of_stage = batches.of_stage(plan, stage)
                mates[stage] = {scan: batch for batch in of_stage for scan in batch}
            waiting += [(stage, scan) for scan in mates[stage].get(name, ())]
    return found, made


def present(plan: Plan, what: Entry) -> bool:
    """Whether the store of a plan has an entry."""
    return entry.present(plan.home(*what))
