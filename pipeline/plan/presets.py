"""Presets: a word under `embeddings` for all that says how frames are read.

They are replaced by what they stand for before a config is compared with its schema, so that plans
and keys know settings alone.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from snakemake.common.configfile import load_configfile

from pipeline.errors import BadInput
from pipeline.plan.provenance import ROOT

PRESETS = ROOT / "workflow" / "presets.yaml"
KEY = "preset"


@cache
def presets() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Name -> part of a dataset's section -> its settings, in the order of the file."""
    found: dict[str, dict[str, dict[str, Any]]] = load_configfile(PRESETS)
    return found


def settings(name: Any, where: Path | str) -> Mapping[str, Mapping[str, Any]]:
    """What a preset says of each part of a section. Raises `BadInput` for a word that is none."""
    if not isinstance(name, str) or name not in presets():
        what = f"embeddings.preset: {name!r} is not one of the presets"
        raise BadInput(where, what, f"use one of {', '.join(presets())}")
    return presets()[name]


def resolved(section: Mapping[str, Any], where: Path | str) -> dict[str, Any]:
    """A dataset's section with the settings of its preset in the place of the word.

    What is given beside the preset overrides it. Features made elsewhere take the place of a model,
    and of a preset, and `preset: null` of an overlay takes away the one below it. Raises `BadInput`
    for a word that is no preset.
    """
    found, given = dict(section), section.get("embeddings")
    if not isinstance(given, Mapping) or KEY not in given:
        return found
    own = {key: value for key, value in given.items() if key != KEY}
    if given[KEY] is None or "features" in own:
        return found | {"embeddings": own}
    chosen = settings(given[KEY], where)
    for part, preset in chosen.items():
        beside = own if part == "embeddings" else found.get(part, {})
        found[part] = {**preset, **beside} if isinstance(beside, Mapping) else beside
    return found
