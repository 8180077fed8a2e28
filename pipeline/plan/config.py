"""The config as a run reads it, and the plan that follows from it.

Commands that look at a store or keep it use these; `snakemake` reads the same two files itself.
"""

import copy
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from pipeline import readers
from pipeline.errors import BadInput
from pipeline.plan import ablation, config_text, presets, schema, weights
from pipeline.plan.making import make_plan
from pipeline.plan.plan import Plan

CONFIG = Path("workflow/config.yaml")
TARGETS = ("train", "clouds", "sixfold", "ablation", "transfer")  # <target>_<dataset>


def load(path: Path = CONFIG) -> dict[str, Any]:
    """The config with its defaults, laid over the one that it is `based_on`, if it is.

    One that is not whole, with a store and all that its datasets need, is laid over
    workflow/config.yaml, as `snakemake --configfile` lays it. Raises `BadInput` where a key is
    unknown or has a bad value.
    """
    config = _read(path)
    if "based_on" in config or (path != CONFIG and not _is_whole(config)):
        base = Path(str(config.get("based_on", CONFIG)))
        changes, config, below = config, {}, _read(base)
        if "based_on" in below:
            raise BadInput(path, f"is based on {base}, which is based on another", "name that one")
        # Over nothing first: sections that share parts by YAML's aliases do not share changes.
        for layer in (below, changes):
            update_config(config, layer)
    check(config, path)
    return config


def _is_whole(config: Mapping[str, Any]) -> bool:
    """Whether a config says all that is required, be it right or wrong."""
    return bool(datasets(config)) and not (schema.lacks_a_key(config) and CONFIG.is_file())


def _read(path: Path) -> dict[str, Any]:
    config_text.check_file(path)
    try:
        found: dict[str, Any] = load_configfile(path)
    except (WorkflowError, ValueError) as error:  # the latter for numbers without end
        what = f"cannot be read ({' '.join(str(error).split())})"
        raise BadInput(path, what, "restore or correct it") from error
    return found


def check(config: dict[str, Any], where: Path | str = "the config") -> None:
    """Put presets and defaults in. Raises `BadInput` where a key is unknown or has a bad value."""
    for name in datasets(config):
        config[name] = presets.resolved(config[name], f"{where}: {name}")
    whole = copy.deepcopy(config)
    schema.validate(whole, where)
    # Defaults are objects of the schema, and YAML's aliases too are shared by those that name
    # them, so each dataset is validated in a copy, alone.
    alone = {"store": config["store"]}
    for name in datasets(config):
        part = {**alone, name: copy.deepcopy(config[name])}
        schema.validate(part, where)
        whole[name] = part[name]
    config.update(whole)
    _place_folders(config, where)
    _check_names(config, where)
    for name in datasets(config):
        for row, section in ablation.sections(config[name], f"{where}: {name}").items():
            _check_tags(section, f"{where}: {name}", f"ablation, row {row!r}: tags")


def _place_folders(config: dict[str, Any], where: Path | str) -> None:
    """Let `~` be the home. Raises `BadInput` for names of folders that Snakemake cannot take."""
    for name in ("store", "work", "results"):
        path = config[name]
        bad = "{}<>" if name != "store" else ""  # Snakemake's wildcards and folders by name
        if any(each in bad or ord(each) < 32 for each in path):
            what = f"{name}: {path!r} has a brace, an angle bracket or a control character"
            raise BadInput(where, what, "name a folder without")
        config[name] = os.path.expanduser(path)
    for section in (config[name] for name in datasets(config)):
        if "raw" in section:
            section["raw"] = os.path.expanduser(section["raw"])


def _check_names(config: Mapping[str, Any], where: Path | str) -> None:
    """Raise `BadInput` for names that the schema cannot check."""
    known, formats = datasets(config), readers.names()
    for name in known:
        if name in TARGETS:
            what = f"no dataset can be called {name!r}, since targets begin with that word"
            raise BadInput(where, what, "rename it")
        _check_tags(config[name], where, f"{name}.tags")
        reader = config[name]["reader"]
        if reader not in formats:
            what = f"{name}.reader: {reader!r} is not one of the readers"
            raise BadInput(where, what, f"use one of {', '.join(formats)}")
    for one, other in config["transfer"].items():
        if one == other:
            what = f"transfer: {one!r} is paired with itself"
            raise BadInput(where, what, "name another dataset, or remove the line")
    for name in (each for pair in config["transfer"].items() for each in pair):
        if name not in known:
            what = f"transfer: {name!r} is not one of its datasets"
            raise BadInput(where, what, f"name one of {', '.join(known)}")


def _check_tags(section: Mapping[str, Any], where: Path | str, name: str) -> None:
    if section["tags"]["source"] == "file" and "file" not in section["tags"]:
        what = f"{name}: has `source: file` and names no file"
        raise BadInput(where, what, "add `file:` with the csv file of the scene tags")


def datasets(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the datasets that a config describes."""
    return tuple(k for k, v in config.items() if isinstance(v, Mapping) and "embeddings" in v)


def plan(dataset: str, path: Path = CONFIG, wanted: bool = True) -> Plan:
    """The plan of a run. Raises `BadInput` for an unknown dataset, and where `make_plan` does.

    Without any raw data a run would stop, but a plan can still be made: what
    it names can be looked for, if not made.
    """
    config = load(path)
    if dataset not in datasets(config):
        known = ", ".join(datasets(config))
        raise BadInput(path, f"describes no dataset {dataset!r}", f"name one of {known}")
    section = config[dataset]
    if not wanted or "simulate" in section or Path(section.get("raw") or "data").is_dir():
        return make_plan(dataset, config, wanted)
    facts = make_plan(dataset, config, wanted=False).facts
    digest = weights.weights_digest(section["embeddings"], Path(facts.store))
    planned = Plan(replace(facts, weights=digest, keys=None))
    return Plan(replace(planned.facts, keys=planned.keys))
