"""What is recorded of entries that were made: time, processor time, size and memory."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.plan.plan import Plan
from pipeline.store import filesystem, records

MOST = 400  # records of a folder that are read at most


@dataclass(frozen=True)
class Known:
    """What one entry took. Of records by older versions only time and size are known."""

    seconds: float
    bytes: float
    cpu: float | None = None  # seconds of all cores
    memory_mb: float | None = None
    gpu_mb: float | None = None
    start: float | None = None  # seconds of its process before it, where it was the first there
    start_cpu: float | None = None

    @classmethod
    def from_json(cls, said: Any) -> "Known":
        """Raises ValueError, LookupError or TypeError for what is no such record."""
        found = {name: _number(said[name]) for name in ("seconds", "bytes")}
        for name in ("cpu", "memory_mb", "gpu_mb", "start", "start_cpu"):
            if name in said:
                found[name] = _number(said[name])
        return cls(**found)


def of_stage(plan: Plan, stage: str, most: int = MOST) -> dict[str, Known]:
    """Name of an entry -> what it took, of entries of a stage that were made under these settings.

    Of very many, only some are read, evenly spread.
    """
    if stage == "simulate":
        done = {p.name.partition(".")[0]: p for p in sorted(plan.raw.glob("*.done"))}
        return _read_all(done, most)
    folder = Path(plan.facts.store, plan.dataset, stage, plan.keys[stage], records.FOLDER)
    names = sorted(filesystem.list_names(folder))
    return _read_all({name.partition("@")[0]: folder / name for name in names}, most)


def of_entry(home: Path) -> Known | None:
    """What an entry took, by any of its records."""
    for sha256 in records.digests_by_entry(home.parent).get(home.name, ()):
        if found := _read(records.path_for(home, sha256)):
            return found
    return None


def _read_all(paths: Mapping[str, Path], most: int) -> dict[str, Known]:
    some = [*paths.items()][:: math.ceil(len(paths) / most) or 1]
    read = ((name, _read(path)) for name, path in some)
    return {name: known for name, known in read if known}


def _read(path: Path) -> Known | None:
    """What a record says; None where it is damaged."""
    try:
        return Known.from_json(json.loads(filesystem.read_text(path)))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _number(value: Any) -> float:
    number = float(value)
    if not 0 <= number < math.inf:
        raise ValueError(value)
    return number
