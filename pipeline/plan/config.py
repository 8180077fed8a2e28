"""The config as a run reads it, the plans that follow from it, and whose plans use a store.

Commands that look at a store or keep it use these; `snakemake` reads the same two files itself.
"""

import copy
import getpass
import json
import os
import re
import socket
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from pipeline import readers
from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.plan import ablation, config_text, provenance, schema, weights
from pipeline.plan.making import make_plan
from pipeline.plan.plan import Plan
from pipeline.store import filesystem

CONFIG = Path("workflow/config.yaml")
TARGETS = ("train", "clouds", "sixfold", "ablation", "transfer")  # <target>_<dataset>
PLANS = "plans"  # the folder of a store in which those who use it write their plans


class Registered(NamedTuple):
    """A plan that a user ran on a store: `plan` has the keys of their code, not of this one.

    `plan.facts` are theirs too, but for the path of the store, which is the one asked about.
    """

    plan: Plan
    user: str
    host: str
    work: str  # absolute path of their links
    path: Path  # of the file in the store


def load(path: Path = CONFIG) -> dict[str, Any]:
    """The config with its defaults, laid over the one that it is `based_on`, if it is.

    One that is not whole, with a store and all that its datasets need, is laid over
    workflow/config.yaml, as `snakemake --configfile` lays it. Raises `BadInput` where a key is
    unknown or has a bad value.
    """
    config = _read(path)
    if "based_on" in config or (path != CONFIG and not _is_whole(config)):
        base = Path(str(config.get("based_on", CONFIG)))
        changes, config = config, _read(base)
        if "based_on" in config:
            raise BadInput(path, f"is based on {base}, which is based on another", "name that one")
        update_config(config, changes)
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
    """Put defaults in. Raises `BadInput` where a key is unknown or has a bad value."""
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


def wanted(names: Iterable[str], arguments: Sequence[str], pairs: Mapping[str, str]) -> list[str]:
    """The datasets that a command asks for, by the names in its targets.

    A name counts as a whole (`train_demo_s3dis` asks for `demo_s3dis`, not for `demo` or `s3dis`),
    and not in the value of an option (`store=demo`) or in an absolute path (`/home/demo`).
    `pairs` are the config's `transfer`: `transfer_demo` asks for the other dataset, too.
    """
    found = {match["name"] for match in _mentions(names, arguments)}
    found |= {pairs[name] for name in transfers(pairs, arguments)}
    return [name for name in names if name in found]


def folded(names: Iterable[str], arguments: Iterable[str]) -> list[str]:
    """The datasets of which a command asks for all folds, or for one."""
    return _asked(names, arguments, "sixfold", "fold_")


def ablated(names: Iterable[str], arguments: Iterable[str]) -> list[str]:
    """The datasets of which a command asks for an ablation, or for a row of it."""
    return _asked(names, arguments, "ablation", "ablation")


def transfers(pairs: Mapping[str, str], arguments: Iterable[str]) -> list[str]:
    """The pairs of `transfer` in the config that a command asks for, by their first datasets.

    On a cluster a job's target is `transfer_demo:`, which wildcards would follow.
    """
    targets = {each.partition(":")[0] for each in arguments}
    rules = {name: {f"transfer_{name}", f"transfer_{name}_tables"} for name in pairs}
    return [name for name, own in rules.items() if own & targets]


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


def register(plan: Plan) -> None:
    """Write down in the store that this work tree uses it, and for what; warn where that fails."""
    work = os.path.abspath(plan.facts.work)
    who = {"user": _user(), "host": socket.gethostname(), "work": work}
    name = provenance.digest(*who.values(), *plan.parts)
    path = Path(plan.facts.store, PLANS, f"{name}.json")
    partial = path.with_suffix(f".{uuid.uuid4().hex}")
    facts = replace(plan.facts, keys=plan.keys, work=work).to_json()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(json.dumps({**who, "plan": facts}, sort_keys=True), encoding="utf-8")
            os.replace(partial, path)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
    except OSError as error:
        what = f"this run cannot be registered ({error.strerror})"
        what += ", so `python -m pipeline store prune` may remove what it uses"
        _say(f"{path.parent}: {what}; ask its owner for access.")


@cache
def _say(sentence: str) -> None:
    """Print it once, however many plans a run has."""
    print(sentence, file=sys.stderr, flush=True)


def registered(store_: Path) -> list[Registered]:
    """Everybody's plans on a store, by file name. Raises `BadInput` where one cannot be read."""
    found = []
    for name in sorted(filesystem.list_names(store_ / PLANS)):
        if not name.endswith(".json"):
            continue
        path = store_ / PLANS / name
        try:
            said = json.loads(filesystem.read_text(path))
            facts = Facts.from_json(said["plan"] | {"store": str(store_)})
            if facts.keys is None:
                raise LookupError("keys")
            planned = Plan(facts)
            found.append(Registered(planned, said["user"], said["host"], said["work"], path))
        except FileNotFoundError:  # taken away just now
            continue
        except (OSError, ValueError, LookupError, TypeError) as error:
            what = f"is not a plan that a run has written ({error!r})"
            raise BadInput(path, what, "find out whose it is, and remove it") from error
    return found


def _asked(names: Iterable[str], arguments: Iterable[str], target: str, part: str) -> list[str]:
    """The datasets that arguments name after a target, or before the name of a part of them."""
    names, found = list(names), set()
    for match in _mentions(names, arguments):
        if match["before"] == target or (match["after"] or "").startswith(part):
            found.add(match["name"])
    return [name for name in names if name in found]


def _mentions(names: Iterable[str], arguments: Iterable[str]) -> list[re.Match[str]]:
    """Where arguments name datasets: <name>, sixfold_<name>, <name>_fold_<area> and so on."""
    known = sorted(names, key=len, reverse=True)  # of two that fit, the longer is meant
    after = r"(?:[_/](?P<after>fold_[A-Za-z0-9]+|ablation(?:_[a-z0-9_]+)?))?"
    name = rf"(?:(?P<before>sixfold|ablation)_)?(?P<name>{'|'.join(known)}){after}"
    pattern = re.compile(rf"(?<![a-z0-9]){name}(?![a-z0-9])")
    parts = [each.partition("=")[0] for each in arguments if not each.startswith("/")]
    return [match for part in parts for match in pattern.finditer(part)]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        return str(os.getuid())
