"""Plans of the rows of an ablation: the dataset with some settings changed.

All rows have the scans of the dataset. So an entry that no changed setting reaches has the same
key, digest and link in every row, and is made once, by a rule of the first that has it.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.facts import PSEUDO_LABELS, SUPERVISED
from pipeline.plan import graph, missing, presets, provenance, rawdata, schema, weights
from pipeline.plan.missing import Elsewhere
from pipeline.plan.plan import Plan, plain
from pipeline.store import links

MODULES = ["model.reports.ablation"]  # which write the tables
BASE = "as configured"  # the first row
# What is scored, and on which machine, is the same in all rows.
FIXED = {"scans", "classes", "reader", "raw", "simulate", "ablation"}
FIXED |= {"threads", "scans_per_job", "workers", "gpus", "nodes"}


def rows(plan: Plan, fetch: bool = False) -> dict[str, Plan]:
    """Name -> plan of each row; the first is the dataset itself with one variant.

    Weights of a hub that only a row has are fetched if that is asked for. Raises `BadInput` where
    nothing can be scored, or where a row cannot be planned.
    """
    if not plan.facts.scored:
        remedy = "give scans with labels the split val, or ask for `train_` instead"
        raise BadInput(f"`ablation:` of {plan.dataset}", "has no labelled scans to score", remedy)
    named = sections(plan.section, f"the config: {plan.dataset}")
    return {name: _row(plan, name, section, fetch) for name, section in named.items()}


def sections(section: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """Name -> the section of a dataset with the settings of each row; of the first, unchanged.

    `section` has all defaults. Without `variants` of its own a row has the last of the dataset's
    that is not supervised. Raises `BadInput` for settings that the schema does not allow, or that
    are the same in all rows. Empty where the section has no `ablation:`.
    """
    overrides = section.get("ablation")
    if not overrides:
        return {}
    base = {name: part for name, part in section.items() if name != "ablation"}
    variants = base["train"]["variants"]
    weak = [variant for variant in variants if variant != SUPERVISED] or variants
    base = merged(base, {"train": {"variants": weak[-1:]}})
    found = {BASE: base}
    for name, override in overrides.items():
        fixed = sorted(FIXED & override.keys())
        row = f"{where}: row {name!r} of `ablation:`"
        if fixed:
            what = f"changes {fixed[0]}, which is the same in all rows"
            raise BadInput(row, what, "describe another dataset with it")
        found[name] = merged(base, presets.resolved(override, row))
    if len({plain(name) for name in found}) <= len(overrides):
        what = f"two rows have names of the same letters (the first of all is {BASE!r})"
        raise BadInput(f"{where}: `ablation:`", what, "rename one")
    _validate(found, where)
    features = base["embeddings"].get("features")
    for name, each in found.items():
        if each["embeddings"].get("features") != features:
            row = f"{where}: row {name!r} of `ablation:`"
            what = "changes embeddings.features, which are the same in all rows"
            raise BadInput(row, what, "describe another dataset with them")
    return found


def merged(section: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """A section in which values are replaced, those in sections within it one by one.

    A section within it that is replaced by null is left out. Nothing is shared with the arguments.
    """
    found = copy.deepcopy(dict(section))
    for key, value in override.items():
        inner = found.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            found[key] = merged(inner, value)
        elif isinstance(inner, Mapping) and value is None:
            del found[key]
        else:
            found[key] = copy.deepcopy(value)
    return found


def changes(base: Mapping[str, Any], row: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """What differs between two sections, as `train.loss.text = 0`; null is what a row lacks."""
    for key in sorted({*base, *row}):
        old, new = base.get(key), row.get(key)
        if isinstance(new, Mapping) and new:
            yield from changes(old if isinstance(old, Mapping) else {}, new, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key} = {new if isinstance(new, str) else json.dumps(new)}"


def scores(found: Mapping[str, Plan]) -> dict[str, list[str]]:
    """Row -> what is scored: its networks, and the pseudo-labels of rows in which they differ.

    With these there are those of the first row to compare.
    """
    base = next(iter(found.values()))
    other = {
        name
        for name, row in found.items()
        if row.keys[PSEUDO_LABELS] != base.keys[PSEUDO_LABELS] and PSEUDO_LABELS in row.facts.scores
    }
    labelled = {BASE, *other} if other else set()
    return {
        name: row.facts.networks + [PSEUDO_LABELS] * (name in labelled)
        for name, row in found.items()
    }


def results(found: Mapping[str, Plan]) -> Path:
    """The folder of the tables of all rows, named by all that they come from."""
    base = next(iter(found.values()))
    parts = [base.keys["report"], provenance.key(provenance.recipe("ablation", MODULES, {}))]
    for name, scored in scores(found).items():
        row = found[name]
        parts += [name, *changes(base.section, row.section)]
        for each in scored:
            stage = row.facts.evaluator(each)
            parts += [row.keys[stage], row.digest(stage, each)]
    mark = provenance.digest(*parts)
    return Path(base.facts.results, base.dataset, "ablation", mark)


def adopt(plan: Plan, found: Mapping[str, Plan]) -> None:
    """Link the entries of the rows that the store has, and say which tables are the latest.

    Those that the plan has linked are not looked at again.
    """
    for row in found.values():
        row.remove_notes()
    pairs = {
        row.link(stage, name): row.home(stage, name)
        for row in found.values()
        for stage, name in row.entries
        if graph.per_split(stage) or row.keys[stage] != plan.keys.get(stage)
    }
    links.adopt(pairs.items())
    folder, base = results(found), next(iter(found.values()))
    links.show_latest(folder)
    links.show_page(folder, base.page(folder))


def require(found: Mapping[str, Plan], elsewhere: Elsewhere = missing.NOWHERE) -> None:
    """Raise `BadInput` where a row needs raw files, and what they give is to be had nowhere."""
    for row in found.values():
        rawdata.require(row, elsewhere)


def _row(plan: Plan, name: str, section: Mapping[str, Any], fetch: bool) -> Plan:
    where = f"{plan.dataset}: row {name!r} of `ablation:`"
    facts = replace(plan.facts, section=section, row=name, keys=None)
    try:
        if section["embeddings"] != plan.section["embeddings"]:
            tower, store = section["embeddings"], Path(facts.store)
            if fetch:
                weights.fetch_unknown(tower, store)
            digest = weights.weights_digest(tower, store)
            facts = replace(facts, weights=digest)
        if section["tags"] != plan.section["tags"]:
            tags = rawdata.scene_tags(section, facts.scans, facts.classes)
            facts = replace(facts, tags=tags)
        rawdata.require_scans(facts)
        keys = Plan(facts).keys
    except BadInput as error:
        what, remedy = error.args[1:]
        raise BadInput(f"{where}: {error.args[0]}", what, remedy) from error
    return Plan(replace(facts, keys=keys))


def _validate(found: dict[str, dict[str, Any]], where: str) -> None:
    """Put in the defaults of new sections. Raises `BadInput`, which names the row."""
    alike = {f"row_{number}": section for number, section in enumerate(found.values())}
    try:
        schema.validate({"store": "any", **alike}, where)
    except BadInput as error:
        _, what, remedy = error.args
        number = re.match(r"row_([0-9]+)[.:] *", what)
        assert number, what
        row = [*found][int(number[1])]
        what = what.removeprefix(number[0])
        raise BadInput(f"{where}: row {row!r} of `ablation:`", what, remedy) from error
