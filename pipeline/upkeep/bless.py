"""`python -m pipeline.upkeep.bless DATASET STAGE`: keep what edited code would make again alike.

Some entries of the nearest recipe that differs in nothing but code and packages are made again with
the code of now, outside the store, and compared. Only where all are equal, a line is added to
data_manifest/blessed.csv, for review in git: from then on the recipe of now stands for the key, and
so for the entries, of the older one. Nothing else writes that file, and a line names what was
compared: anybody who has that code and the older entries can compare them again with `--check`.
"""

import argparse
import csv
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from pipeline.errors import BadInput
from pipeline.jobs import jobs
from pipeline.plan import config, manifest, provenance
from pipeline.plan.graph import PER_RUN
from pipeline.plan.plan import Plan
from pipeline.store import entry, records
from pipeline.upkeep import changes, likeness
from pipeline.upkeep.why import Comparison, Recipe, plain

LEAST = 0.99  # a cosine below which nobody calls two embeddings the same


class Blessing(NamedTuple):
    """A line of the file."""

    stage: str
    new: str  # key of the recipe of now
    old: str  # key of the recipe whose entries it keeps
    entries: str  # what was compared: <dataset>/<name>@<digest>, joined by spaces
    how: str  # "bytes", or "cosine" and the least that was allowed


class Unequal(BadInput):
    """The code of now makes other entries than the stored ones; `lines` say what differs."""

    def __init__(self, folder: Path, lines: list[str]) -> None:
        self.lines = lines
        what = "the code of now makes other entries than these"
        super().__init__(folder, what, "nothing was blessed: mend the code or let the stage run")


def bless(plan: Plan, stage: str, count: int = 3, cosine: float | None = None) -> Blessing:
    """Compare up to `count` entries and record that the stage keeps them all.

    Raises `Unequal` where they differ, and `BadInput` where more than code differs.
    """
    if count < 1 or not LEAST <= (1 if cosine is None else cosine) <= 1:
        what = f"{count} entries with a cosine of {cosine} show nothing"
        raise BadInput("bless", what, f"compare one or more, with a cosine from {LEAST} to 1")
    recipes = [(r, remakable(plan, stage, r.folder)) for r in keepable(plan, stage)]
    if not any(names for _, names in recipes):
        what = "none of its entries can be made again here"
        remedy = "have what this plan makes them from in the store, or choose a dataset that has"
        raise BadInput(recipes[0][0].folder, what, remedy)
    recipe, names = next(each for each in recipes if each[1])
    names = spread(names, count)
    compare(plan, stage, recipe.folder, names, cosine)
    entries = " ".join(_label(plan, stage, name) for name in names)
    how = "bytes" if cosine is None else f"cosine {cosine}"
    key = provenance.key(plan.recipe(stage))
    _record(blessing := Blessing(stage, key, recipe.key, entries, how))
    return blessing


def check(plan: Plan, stage: str) -> Blessing:
    """Compare again what the line of a stage names, where it is here. Raises as `bless` does."""
    key = provenance.key(plan.recipe(stage))
    rows = [row for row in _rows() if (row.stage, row.new) == (stage, key)]
    if not rows:
        raise BadInput(manifest.BLESSED, f"has no line for {stage} of now", "use the code it is of")
    folder, how = _folder(plan, stage) / rows[0].old, rows[0].how
    stated = re.fullmatch(r"bytes|cosine (\d(?:\.\d+)?)", how)
    if not stated:
        raise BadInput(manifest.BLESSED, f"says {how!r} of {stage}", "restore it")
    named = rows[0].entries.split()
    names = [n for n in remakable(plan, stage, folder) if _label(plan, stage, n) in named]
    if not names:
        what = f"there is none of {rows[0].entries} that can be made again here"
        raise BadInput(folder, what, "check it where they are")
    compare(plan, stage, folder, names, float(stated[1]) if stated[1] else None)
    return rows[0]


def keepable(plan: Plan, stage: str) -> list[Recipe]:
    """The dataset's recipes that a stage differs from in code and packages only, nearest first.

    Raises `BadInput`, which says what else differs, where there is none.
    """
    key, blessed = provenance.key(plan.recipe(stage)), plan.facts["blessed"].get(stage, {})
    if key in blessed:
        what = f"{stage} of now already keeps the entries of key {blessed[key]}"
        raise BadInput(manifest.BLESSED, what, "there is nothing to do")
    comparison = Comparison(plan)
    # Of a chain of blessed recipes only the oldest: its entries are those that are used.
    others = [
        recipe
        for recipe in comparison.recipes.get(stage, [])
        if recipe.dataset == plan.dataset and recipe.key not in (key, *blessed)
    ]
    if not others:
        what = "the store has no entries of it by another recipe"
        raise BadInput(_folder(plan, stage), what, "there is nothing to keep")
    fit = [recipe for recipe in others if not _beyond_code(plan, recipe)]
    if fit:
        return sorted(fit, key=comparison.distance)
    nearest = comparison.nearest(others)
    lines = _beyond_code(plan, nearest)
    above = comparison.apart(nearest).keys() - {stage}
    remedy = "let the stage run"
    if above and all(line.startswith("upstream.") for line in lines):
        remedy = f"bless {min(above, key=plan.stages.index)} first, which is upstream"
    raise BadInput(nearest.folder, f"not only code differs, but {'; '.join(lines)}", remedy)


def remakable(plan: Plan, stage: str, folder: Path) -> list[str]:
    """The plan's entries that a folder holds and whose inputs the store has, smallest first."""
    sizes = {}
    for name in [name for of, name in plan.entries if of == stage]:
        stored = folder / plan.home(stage, name).name
        inputs = (plan.home(*source) for source in plan.inputs(stage, name))
        if entry.present(stored) and all(map(entry.present, inputs)):
            sizes[name] = stored.stat().st_size
    return sorted(sizes, key=lambda name: (sizes[name], name))


def spread(names: list[str], count: int) -> list[str]:
    """Up to `count` of some names, evenly from the first to the last; one is the middle one."""
    last = len(names) - 1
    if count == 1:
        return [names[last // 2]]
    return [names[i] for i in sorted({round(i * last / (count - 1)) for i in range(count)})]


def compare(
    plan: Plan, stage: str, folder: Path, names: Iterable[str], cosine: float | None
) -> None:
    """Make entries again, outside the store, and raise `Unequal` where those in `folder` differ."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="bless-") as scratch:
        if stage in PER_RUN:  # from the start: no checkpoint of an earlier run takes part
            plan = Plan({**plan.facts, "work": scratch})
        make = jobs.load(stage, plan)
        for name in tqdm(names, f"making {stage} again", disable=None):
            stored = folder / plan.home(stage, name).name
            entry.check_bytes(stored)
            records.check(stored)
            made = Path(scratch, *stored.parts[-3:])  # so that it calls itself as the stored one
            made.parent.mkdir(parents=True, exist_ok=True)
            make(name, made)
            lines += [f"{name}: {line}" for line in likeness.differences(stored, made, cosine)]
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
    return Path(plan.facts["store"], plan.dataset, stage)


def _rows() -> list[Blessing]:
    manifest.read_blessed(manifest.BLESSED)  # refuses what is malformed
    if not manifest.BLESSED.exists():
        return []
    with manifest.BLESSED.open(newline="", encoding="utf-8") as file:
        return [Blessing(*(row[f] for f in Blessing._fields)) for row in csv.DictReader(file)]


def _record(blessing: Blessing) -> None:
    rows = [*_rows(), blessing]
    partial = manifest.BLESSED.with_suffix(f".{os.getpid()}")
    with partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([Blessing._fields, *rows])
    os.replace(partial, manifest.BLESSED)


def main() -> int:
    """Bless, or check; 1 where entries differ or it is refused."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.upkeep.bless", description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("stage")
    parser.add_argument("--scans", type=int, default=3, help="entries to compare")
    parser.add_argument("--cosine", type=float, help="allow floats to differ: across devices")
    parser.add_argument("--check", action="store_true", help="compare again what a line names")
    parser.add_argument("--config", type=Path, default=config.CONFIG)
    given = parser.parse_args()
    try:
        plan = config.plan(given.dataset, given.config)
        if given.stage in PER_RUN:
            print(f"{given.stage}: this trains each network again, from the start", flush=True)
        if given.check:
            row = check(plan, given.stage)
        else:
            row = bless(plan, given.stage, given.scans, given.cosine)
    except BadInput as error:
        lines = error.lines if isinstance(error, Unequal) else []
        print(*map(plain, [*lines, str(error)]), sep="\n", file=sys.stderr)
        return 1
    print(f"equal ({row.how}): {row.stage} of now keeps the entries of key {row.old}")
    if not given.check:
        print(f"compared {row.entries}; commit {manifest.BLESSED}, so that it is reviewed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
