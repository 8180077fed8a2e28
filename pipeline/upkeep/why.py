"""`python -m pipeline store why DATASET STAGE NAME`: why an entry is absent.

The recipe of the plan is compared with the nearest one in the store, and so are those of the stages
upstream if their keys differ, up to what was edited. Recipes have digests of code, so a module is
named and not a line; `git log -p` of its file shows that.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import BadInput
from pipeline.plan import graph, provenance
from pipeline.plan.plan import Entry, Plan
from pipeline.store import damaged, entry, filesystem, lease, publish
from pipeline.upkeep import changes

MOST = 5  # scans that are named at most


class Recipe(NamedTuple):
    """A recipe of the store, and the folder of the entries that were made by it."""

    folder: Path  # <store>/<dataset>/<stage>/<key>
    content: Mapping[str, Any]

    @property
    def key(self) -> str:
        return self.folder.name

    @property
    def dataset(self) -> str:
        return self.folder.parent.parent.name

    @property
    def stage(self) -> str:
        return self.folder.parent.name

    def __str__(self) -> str:
        return f"key {self.key} of {self.dataset}"


class Comparison:
    """The recipe of each stage by a plan, compared with those in the store."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @cached_property
    def recipes(self) -> dict[str, list[Recipe]]:
        """The recipes of the store by stage, of any dataset."""
        root, found = Path(self.plan.facts.store), {}
        for stage in self.plan.stages:
            above = [root / dataset / stage for dataset in sorted(filesystem.list_names(root))]
            folders = [
                folder / key for folder in above for key in sorted(filesystem.list_names(folder))
            ]
            found[stage] = [recipe for recipe in map(self._read, folders) if recipe]
        return found

    def nearest(self, recipes: list[Recipe]) -> Recipe:
        """The one with the fewest differences; the dataset's own, if it is one of several."""
        return min(recipes, key=self.distance)

    def distance(self, recipe: Recipe) -> tuple[int, bool, str]:
        """What sorts the nearest recipe first."""
        return len(self.differences(recipe)), recipe.dataset != self.plan.dataset, recipe.key

    def other_keys(self, recipe: Recipe) -> dict[str, str]:
        """The keys of `recipe` and of all upstream of it that are not the plan's; nearest first.

        What is upstream of a recipe that the store lacks is unknown.
        """
        found: dict[str, str] = {}
        todo = [(recipe.stage, recipe.key)]
        for stage, key in todo:  # grows on the way
            if key != self.plan.keys[stage] and stage not in found:
                found[stage] = key
                read = (self._content(stage, key) or {"upstream": {}})["upstream"]
                todo += [
                    (above, read[above]) for above in self.plan.upstream(stage) if above in read
                ]
        return found

    def differences(self, recipe: Recipe) -> list[str]:
        """How the plan differs from a recipe of the same stage, also in all stages upstream.

        What affects several stages is listed once.
        """
        lines: dict[str, str] = {}  # what differs -> where
        for stage, key in self.other_keys(recipe).items():
            old = self._content(stage, key)
            unknown = [f"another recipe ({key}), which the store lacks"]
            for line in changes.of_recipes(old, self.plan.recipe(stage)) if old else unknown:
                lines.setdefault(line, "" if stage == recipe.stage else f"upstream {stage}: ")
        return [where + what for what, where in lines.items()]

    def _content(self, stage: str, key: str) -> Mapping[str, Any] | None:
        return next((r.content for r in self.recipes.get(stage, []) if r.key == key), None)

    def _read(self, folder: Path) -> Recipe | None:
        """The recipe of a folder; None where there is none, or it is not of the folder's key."""
        path = folder / publish.RECIPE
        try:
            recipe = json.loads(path.read_text("utf-8")) if entry.present(path) else {}
            key = provenance.key(recipe)
            blessed = self.plan.facts.blessed.get(folder.parent.name, {})
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        parts = ("code", "packages", "params", "upstream")
        sound = isinstance(recipe, dict) and all(isinstance(recipe.get(p), dict) for p in parts)
        named = folder.name in (key, blessed.get(key))
        return Recipe(folder, recipe) if sound and named else None


def explain(plan: Plan, stage: str, name: str) -> list[str]:
    """Why an entry is absent, in lines. Raises `BadInput` where the plan has no such entry."""
    known = [known for of, known in plan.entries if of == stage]
    if name not in known:
        stages = ", ".join(dict.fromkeys(of for of, _ in plan.entries))
        remedy = f"name one like {known[0]}" if known else f"the stages are {stages}"
        raise BadInput(f"the plan of {plan.dataset}", f"has no {stage!r} of {name!r}", remedy)
    home = plan.home(stage, name)
    if entry.present(home):
        entry.check(home)
        return [f"{stage} of {name} is present: {home}"]
    lines = [f"{stage} of {name} is absent: there is no {home}"]
    if entry.present(lease.path_for(home)):
        lines.append("A process may be making it now: there is a lease for it.")
    aside = home.parent / damaged.FOLDER
    moved = [aside / file for file in filesystem.list_names(aside) if file.startswith(home.name)]
    lines += [f"One was damaged and was moved aside to {path}" for path in moved]
    return lines + _reason(Comparison(plan), stage, name)


def _reason(comparison: Comparison, stage: str, name: str) -> list[str]:
    plan, recipes = comparison.plan, comparison.recipes[stage]
    if not recipes:
        return [f"The store has no recipe of {stage} to compare with: none was made there yet."]
    folder = plan.home(stage, name).parent
    lines = []
    if any(recipe.folder == folder for recipe in recipes):
        stored = digests(folder)
        if name in stored:
            what = "The store has it by the same recipe, but from other raw files:"
            return [what, *(f"  {line}" for line in raw_changes(plan, stage, name))]
        lines = [
            f"Its recipe (key {folder.name}) has made {len(stored)} others, but not this one yet."
        ]
    having = [recipe for recipe in recipes if name in digests(recipe.folder)]
    nearest = comparison.nearest(having or recipes)
    if nearest.folder == folder:
        return [*lines, "No other recipe in the store has made it either."]
    differences = comparison.differences(nearest)
    if not differences:
        return [*lines, f"The same recipe has made others, which are not used here ({nearest})."]
    if having:
        lines.append(f"The nearest recipe that has {name} ({nearest}) differs in:")
    else:
        lines.append(f"No recipe in the store has {name}. The nearest one ({nearest}) differs in:")
    return [*lines, *(f"  {line}" for line in differences)]


def raw_changes(plan: Plan, stage: str, name: str) -> list[str]:
    """Which raw files of an entry differ from those of the entries in the store."""
    lines: list[str] = []
    sources: set[Entry] = set()
    todo = [(stage, name)]
    while todo:
        sources |= {each for each in todo if graph.stage(each[0]).raw}
        todo = list({above for each in todo for above in plan.inputs(*each)})
    stored = {of: digests(plan.home(of, "").parent) for of, _ in sources}
    for of, scan in sorted(sources):
        now = plan.digest(of, scan)
        before = [digest for digest in stored[of].get(scan, []) if digest != now]
        if now == "unknown":
            lines.append(f"{graph.stage(of).raw} of {scan}: neither here nor recorded in the store")
        elif before:
            lines.append(f"{graph.stage(of).raw} of {scan}: {' or '.join(before)} -> {now}")
    if len(lines) > MOST:
        lines[MOST:] = [f"and {len(lines) - MOST} more"]
    if not lines:
        return ["it was made from other scans, or its inputs have been removed"]
    if plan.facts.simulated:
        key = plan.keys["simulate"]
        lines.append(f"(simulated scans depend on their seeds and on `simulate`, key {key})")
    return lines


def digests(folder: Path) -> dict[str, list[str]]:
    """Name -> digests of the entries in a folder."""
    found: dict[str, list[str]] = {}
    for file in sorted(filesystem.list_names(folder)):
        name, at, rest = file.partition("@")
        if at:
            found.setdefault(name, []).append(rest.partition(".")[0])
    return found
