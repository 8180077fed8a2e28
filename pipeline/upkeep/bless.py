"""`python -m pipeline store bless DATASET STAGE`: keep entries that edited code would make equal.

Some entries of the nearest recipe that differs in nothing but code and packages are made again with
the current code, outside the store, and compared. Only if all are equal, a line is added to
data_manifest/blessed.csv, for review in git: from then on the current recipe has the key, and so
the entries, of the older one. Nothing else writes that file. A line names what was compared, so
anybody who has that code and the older entries can compare them again with `--check`.
"""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.jobs import entries
from pipeline.plan import graph, manifest, provenance
from pipeline.plan.plan import Plan
from pipeline.progress import Progress
from pipeline.stages.declaration import Over
from pipeline.store import entry, records
from pipeline.upkeep import blessings, changes, comparison, inventory
from pipeline.upkeep.blessings import Blessing
from pipeline.upkeep.why import Comparison, Recipe

LEAST = 0.99  # the lowest cosine at which two embeddings may count as equal


class Unequal(BadInput):
    """The current code makes other entries than the stored ones; `lines` say what differs."""

    def __init__(self, folder: Path, lines: list[str]) -> None:
        self.lines = lines
        what = "the current code makes other entries than these"
        super().__init__(folder, what, "nothing was blessed: fix the code or let the stage run")


def bless(plan: Plan, stage: str, count: int | None = 3, cosine: float | None = None) -> Blessing:
    """Compare up to `count` entries (all, if None) and record that the stage keeps all of them.

    They must have equal bytes, or a cosine of at least `cosine`. Raises `Unequal` where they
    differ, and `BadInput` where more than code differs.
    """
    if stage not in graph.modules():
        known = ", ".join(graph.modules())
        raise BadInput("bless", f"there is no stage {stage!r}", f"name one of {known}")
    if (count is not None and count < 1) or not LEAST <= (1 if cosine is None else cosine) <= 1:
        what = f"{count} entries with a cosine of {cosine} prove nothing"
        raise BadInput("bless", what, f"compare one or more, with a cosine from {LEAST} to 1")
    recipes = [(r, remakable(plan, stage, r.folder)) for r in keepable(plan, stage)]
    if not any(names for _, names in recipes):
        what = "none of its entries can be made again here"
        remedy = "use a store that has their inputs, or another dataset"
        raise BadInput(recipes[0][0].folder, what, remedy)
    recipe, names = next(each for each in recipes if each[1])
    names = names if count is None else spread(names, count)
    compare(plan, stage, recipe.folder, names, cosine)
    entries = " ".join(_label(plan, stage, name) for name in names)
    how = "bytes" if cosine is None else f"cosine {cosine}"
    key = provenance.key(plan.recipe(stage))
    blessing = Blessing(stage, key, recipe.key, entries, how)
    blessings.add(blessing)
    return blessing


def unseen(plan: Plan, blessing: Blessing) -> int:
    """How many entries of the kept recipe were not made again."""
    stored = inventory.list_folder(_folder(plan, blessing.stage) / blessing.old).entries
    return len(stored) - len(blessing.entries.split())


def check(plan: Plan, stage: str) -> Blessing:
    """Compare again the entries that the line of a stage names. Raises as `bless` does."""
    key = provenance.key(plan.recipe(stage))
    rows = [row for row in blessings.read() if (row.stage, row.new) == (stage, key)]
    if not rows:
        raise BadInput(
            manifest.BLESSED,
            f"has no line for the current {stage}",
            "use the code that was blessed",
        )
    folder, how = _folder(plan, stage) / rows[0].old, rows[0].how
    stated = re.fullmatch(r"bytes|cosine (\d(?:\.\d+)?)", how)
    if not stated:
        raise BadInput(manifest.BLESSED, f"has {how!r} for {stage}", "restore it")
    named = rows[0].entries.split()
    names = [n for n in remakable(plan, stage, folder) if _label(plan, stage, n) in named]
    if not names:
        what = f"none of {rows[0].entries} can be made again here"
        raise BadInput(folder, what, "check it on a store that has them and their inputs")
    compare(plan, stage, folder, names, float(stated[1]) if stated[1] else None)
    return rows[0]


def trains(stage: str) -> bool:
    """Whether to make an entry of the stage again is to train a network."""
    return stage in graph.modules() and graph.stage(stage).over is Over.RUN


def keepable(plan: Plan, stage: str) -> list[Recipe]:
    """The dataset's recipes that differ from a stage's in code and packages only, nearest first.

    Raises `BadInput`, which says what else differs, where there is none.
    """
    key, blessed = provenance.key(plan.recipe(stage)), plan.facts.blessed.get(stage, {})
    if key in blessed:
        what = f"the current {stage} already keeps the entries of key {blessed[key]}"
        raise BadInput(manifest.BLESSED, what, "there is nothing to do")
    known = Comparison(plan)
    # Of a chain of blessed recipes only the oldest, whose entries are used.
    others = [
        recipe
        for recipe in known.recipes.get(stage, [])
        if recipe.dataset == plan.dataset and recipe.key not in (key, *blessed)
    ]
    if not others:
        what = "the store has no entries of it by another recipe"
        raise BadInput(_folder(plan, stage), what, "there is nothing to keep")
    fit = [recipe for recipe in others if not _beyond_code(plan, recipe)]
    if fit:
        return sorted(fit, key=known.distance)
    nearest = known.nearest(others)
    lines = _beyond_code(plan, nearest)
    above = known.other_keys(nearest).keys() - {stage}
    remedy = "let the stage run"
    if above and all(line.startswith("upstream.") for line in lines):
        remedy = f"bless {min(above, key=plan.stages.index)} first, which is upstream"
    raise BadInput(nearest.folder, f"not only code differs, but also {'; '.join(lines)}", remedy)


def remakable(plan: Plan, stage: str, folder: Path) -> list[str]:
    """The plan's entries that are in a folder and whose inputs are in the store, smallest first."""
    sizes = {}
    for name in [name for of, name in plan.entries if of == stage]:
        stored = folder / plan.home(stage, name).name
        inputs = (plan.home(*source) for source in plan.inputs(stage, name))
        if entry.present(stored) and all(map(entry.present, inputs)):
            sizes[name] = stored.stat().st_size
    return sorted(sizes, key=lambda name: (sizes[name], name))


def spread(names: list[str], count: int) -> list[str]:
    """Up to `count` of some names, evenly from first to last; the middle one if just one."""
    last = len(names) - 1
    if count == 1:
        return [names[last // 2]]
    return [names[i] for i in sorted({round(i * last / (count - 1)) for i in range(count)})]


def compare(
    plan: Plan, stage: str, folder: Path, names: Sequence[str], cosine: float | None
) -> None:
    """Make entries again, outside the store, and raise `Unequal` where those in `folder` differ."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="bless-") as scratch:
        if trains(stage):  # from the start, without the checkpoints of an earlier run
            plan = Plan(replace(plan.facts, work=scratch, keys=plan.keys))
        make = entries.load(stage, plan)
        for name in Progress(names, f"making {stage} again"):
            stored = folder / plan.home(stage, name).name
            entry.check_bytes(stored)
            records.check(stored)
            made = Path(scratch, *stored.parts[-3:])  # gives it the identity of the stored one
            made.parent.mkdir(parents=True, exist_ok=True)
            make(name, made)
            lines += [f"{name}: {line}" for line in comparison.differences(stored, made, cosine)]
            made.unlink()
    if lines:
        raise Unequal(folder, lines)


def _beyond_code(plan: Plan, recipe: Recipe) -> list[str]:
    old, new = recipe.content, plan.recipe(recipe.content["stage"])
    parts = ("params", "upstream", "format")
    return [line for part in parts for line in changes.of_values(part, old.get(part), new[part])]


def _label(plan: Plan, stage: str, name: str) -> str:
    return f"{plan.dataset}/{name}@{plan.digest(stage, name)}"


def _folder(plan: Plan, stage: str) -> Path:
    return Path(plan.facts.store, plan.dataset, stage)
