"""The key of each stage of a dataset: the name of everything that determines what it makes."""

from collections.abc import Mapping
from typing import Any

from pipeline import readers
from pipeline.facts import Facts
from pipeline.plan import graph, provenance


def all_keys(facts: Facts) -> dict[str, str]:
    """The key of every stage."""
    keys: dict[str, str] = {}
    for stage in graph.stages(facts):
        keys[stage] = key(facts, stage, keys)
    return keys


def key(facts: Facts, stage: str, keys: Mapping[str, str]) -> str:
    """The key of a stage's recipe, or the older one that it is blessed to keep."""
    own = provenance.key(recipe(facts, stage, keys))
    return facts.blessed.get(stage, {}).get(own, own)


def recipe(facts: Facts, stage: str, keys: Mapping[str, str]) -> dict[str, Any]:
    """The recipe of a stage, given the keys of the stages upstream of it."""
    declared = graph.stage(stage)
    upstream = {name: keys[name] for name in declared.upstream(facts)}
    return provenance.recipe(
        stage, modules(facts, stage), declared.key_params(facts), upstream, declared.packages
    )


def modules(facts: Facts, stage: str) -> list[str]:
    """The modules that do the work: the stage's, those that parameters choose, the reader's."""
    declared = graph.stage(stage)
    found = [declared.module(facts), *declared.parts(facts).values()]
    if declared.raw:
        found.append(readers.module_name(facts.reader, declared.raw))
    return found
