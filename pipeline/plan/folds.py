"""Plans of the folds of a dataset: each area is held out once, and all others are trained on.

A fold is the dataset's plan with other splits. Whatever is of one scan has the same key and digest
in every fold and is shared; networks and their scores differ by the scans that they go back to.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.facts import PSEUDO_LABELS, REFINED_LABELS
from pipeline.plan import provenance
from pipeline.plan.plan import Plan
from pipeline.store import links

MODULES = ["model.reports.folds"]  # which write the tables
PARTS = {"5a": "5", "5b": "5"}  # of one building, in the images of 2D-3D-S


def folds(plan: Plan) -> dict[str, Plan]:
    """Area held out -> plan of that fold, which is the plan itself if that holds the area out.

    Raises `BadInput` where a scan has no area or no labels, where there are not two areas,
    and where an area is not that of the scan's name (Area_5_office_1).
    """
    listed = plan.section.get("scans", f"`{plan.dataset}:`")
    areas = {scan: plan.facts.areas.get(scan) or "" for scan in plan.facts.scans}
    areas = {scan: PARTS.get(area, area) for scan, area in areas.items()}
    for scan, area in areas.items():
        if not (area.isascii() and area.isalnum()):
            what = f"gives {scan} no area to hold out ({area!r})"
            raise BadInput(listed, what, "give each scan one in a column `area`, as a number")
        named = re.match("Area_([0-9]+)_", scan)
        if named and area != named[1]:
            what = f"gives {scan} the area {area}"
            raise BadInput(listed, what, f"write {named[1]}, or rename the scan")
        if "labels" not in plan.facts.raw_digests.get(scan, ("labels",)):
            remedy = "name only scans with labels in it: each is to be scored once"
            raise BadInput(listed, f"names {scan}, which has no labels", remedy)
    found = sorted(set(areas.values()))
    if len(found) < 2:
        what = "has scans of fewer than two areas"
        raise BadInput(listed, what, "name scans of more areas in it")
    return {area: _fold(plan, area, areas) for area in found}


def scores(fold: Plan) -> list[str]:
    """What is scored on the held-out scans: all but the labels that training scans have."""
    of_training = {PSEUDO_LABELS, REFINED_LABELS}
    return [name for name in fold.facts.scores if name.partition("-")[0] not in of_training]


def results(plan: Plan, found: Mapping[str, Plan]) -> Path:
    """The folder of the pooled tables of a plan's folds, named by all that they come from."""
    parts = [
        f"{area} {fold.digest(fold.facts.evaluator(name), name)}"
        for area, fold in found.items()
        for name in scores(fold)
    ]
    written = provenance.key(provenance.recipe("sixfold", MODULES, {}))
    mark = provenance.digest(plan.keys["report"], written, *parts)
    return Path(plan.facts.results, plan.dataset, "sixfold", mark)


def adopt(plan: Plan, found: Mapping[str, Plan]) -> None:
    """Link the entries of the folds that the store has, except those that the plan has linked."""
    linked = {plan.link(*entry) for entry in plan.entries}
    pairs = {
        link: fold.home(*entry)
        for fold in found.values()
        for entry in fold.entries
        if (link := fold.link(*entry)) not in linked
    }
    links.adopt(pairs.items())
    folder = results(plan, found)
    links.show_page(folder, plan.page(folder))


def _fold(plan: Plan, area: str, areas: dict[str, str]) -> Plan:
    splits = {
        "train": [scan for scan in plan.facts.scans if areas[scan] != area],
        "val": [scan for scan in plan.facts.scans if areas[scan] == area],
    }
    if splits == plan.splits:
        return plan
    return Plan(replace(plan.facts, splits=splits, fold=f"fold_{area}", keys=plan.keys))
