"""What a run needs to have, by the targets of its command."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.plan import ablation, folds, graph
from pipeline.plan.plan import Plan
from pipeline.plan.transfer import Transfer
from pipeline.stages.declaration import ONLY, Entry, Over


class Wanted(NamedTuple):
    """Entries of a plan that are to be there at the end."""

    plan: Plan
    roots: list[Entry]
    or_made: bool = True  # or else what they are made from


def of_run(
    plans: Mapping[str, Plan],
    of_folds: Mapping[str, Mapping[str, Plan]],
    of_rows: Mapping[str, Mapping[str, Plan]],
    transfers: Iterable[Transfer],
    arguments: Iterable[str],
) -> list[Wanted]:
    """What a command of Snakemake asks for of each plan, by dataset."""
    targets = {each.partition(":")[0] for each in arguments}
    found = [Wanted(plan, _of_plan(plan, targets)) for plan in plans.values()]
    for dataset, each in of_folds.items():
        base, folder = plans[dataset], folds.results(plans[dataset], each)
        scored = {area: (fold, folds.scores(fold)) for area, fold in each.items()}
        found += _of_tables(base, folder, scored.values())
    for each in of_rows.values():
        base, folder = next(iter(each.values())), ablation.results(each)
        scores = [(each[row], names) for row, names in ablation.scores(each).items()]
        found += _of_tables(base, folder, scores)
    for transfer in transfers:
        if not _has_tables(transfer.results):
            found += [Wanted(plan, [what]) for plan, what in transfer.entries]
    return [each for each in found if each.roots]


def _of_tables(
    base: Plan, folder: Path, scored: Iterable[tuple[Plan, Sequence[str]]]
) -> Iterator[Wanted]:
    """What tables of several plans are made from, and the page about them."""
    for plan, names in scored if not _has_tables(folder) else ():
        yield Wanted(plan, [(plan.facts.evaluator(name), name) for name in names])
    if not base.page(folder).is_file():
        yield Wanted(base, base.inputs("page", ONLY))


def _of_plan(plan: Plan, targets: set[str]) -> list[Entry]:
    """What the targets ask for of one plan: tables, clouds, all of a stage, or single entries."""
    dataset, found = plan.dataset, list[Entry]()
    trained = f"train_{dataset}" in targets
    if trained and not _has_tables(plan.results):
        found += plan.inputs("report", ONLY)
    if trained and not plan.page(plan.results).is_file():
        found += plan.inputs("page", ONLY)
    if f"clouds_{dataset}" in targets or (trained and not plan.facts.scored):
        found += [("clouds", scan) for scan in plan.facts.scans if not _has_clouds(plan, scan)]
    for stage in plan.stages:
        if f"{dataset}_{stage}" in targets and graph.stage(stage).over is Over.SCAN:
            found += [(stage, scan) for scan in plan.needed(stage) or plan.facts.scans]
    if any("/" in each for each in targets):
        found += [what for what in plan.entries if str(plan.link(*what)) in targets]
    return found


def _has_clouds(plan: Plan, scan: str) -> bool:
    return all(path.is_file() for path in plan.places("clouds", scan))


def _has_tables(folder: Path) -> bool:
    return (folder / "table.txt").is_file()
