"""What a run was asked, as it is kept beside its tables: settings, keys, versions and costs."""

import os
import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline.jobs import costs
from pipeline.plan import ablation, schema
from pipeline.plan.plan import Plan

_NOT_SHOWN = {"ablation"}  # a table of its own
# Settings that a dataset has to have, so there are no defaults without them.
_GIVEN, _TOWER = ("scans", "raw", "reader", "simulate"), ("model", "features")


def asked(plan: Plan) -> dict[str, Any]:
    """The content of run.json, plain JSON: a plan, by its settings, and what it has cost."""
    return {
        "dataset": plan.dataset,
        "made": datetime.now().astimezone().isoformat(" ", "minutes"),
        "changes": changes(plan.section),
        "section": _shown(plan.section),
        "scans": {split: len(scans) for split, scans in plan.splits.items()},
        "keys": {stage: plan.keys[stage] for stage in plan.stages},
        "versions": _versions(plan),
        "machine": machine(),
        "costs": costs.by_stage(plan),
    }


def changes(section: Mapping[str, Any]) -> list[str]:
    """What differs from the defaults in a section with all of them, as `train.loss.text = 0`.

    What has no default is a difference.
    """
    given = {name: section[name] for name in _GIVEN if name in section}
    tower = {n: section["embeddings"][n] for n in _TOWER if n in section["embeddings"]}
    described = {"store": "store", "defaults": {**given, "embeddings": dict(tower)}}
    schema.validate(described, "the defaults")
    base: Any = described["defaults"]
    base = {name: part for name, part in base.items() if name not in given}
    base["embeddings"] = {n: part for n, part in base["embeddings"].items() if n not in tower}
    return [*ablation.changes(_shown(base), _shown(section))]


def machine() -> dict[str, str]:
    """The processor, memory, GPUs and system of this machine, as far as they are known."""
    known = {"processor": _processor(), "cores": str(os.cpu_count())}
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        known["memory"] = f"{size / 1e9:.0f} GB"
    except (ValueError, OSError):
        pass
    gpus = [
        _value(path, "Model")
        for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    ]
    return known | {"GPUs": ", ".join(filter(None, gpus)) or "none", "system": platform.platform()}


def _versions(plan: Plan) -> dict[str, str]:
    """Python's version, and those of all packages that a key names."""
    names = {name for stage in plan.stages for name in plan.recipe(stage)["packages"]}
    found = {"python": platform.python_version()}
    for name in sorted({*names, "snakemake"}):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _shown(section: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in section.items() if name not in _NOT_SHOWN}


def _processor() -> str:
    return _value(Path("/proc/cpuinfo"), "model name") or platform.machine()


def _value(path: Path, name: str) -> str:
    """What a file of lines `name : value` says of a name; nothing where it does not."""
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    except OSError:
        pass
    return ""
