"""What the entries of a plan have cost: time and size by the store, memory by this work tree."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.plan.plan import Plan
from pipeline.store import entry, filesystem, records

BENCHMARKS = Path("benchmarks")  # where Snakemake writes what it measures of jobs


def by_stage(plan: Plan, benchmarks: Path = BENCHMARKS) -> list[dict[str, Any]]:
    """A row for each stage that entries are of: how many, seconds, megabytes and bytes.

    Seconds are of making all its entries and the longest of them, wherever they were made, and 0
    of those that have no record. `memory_mb` is the largest of a job that ran in this work tree,
    None if none did. Simulated raw scans are no entries: of these, what jobs here took is known.
    """
    homes: dict[str, list[Path]] = {}
    for stage, name in plan.entries:
        homes.setdefault(stage, []).append(plan.home(stage, name))
    found = []
    if plan.facts.simulated:
        seconds, peak = _measured(benchmarks.joinpath(*plan.parts, "simulate"))
        found.append(_row("simulate", len(plan.facts.scans), sum(seconds), None, peak, None))
    for stage, of_stage in homes.items():
        made = _seconds(of_stage[0].parent)
        each = [made.get(home.name, 0.0) for home in of_stage]
        size = sum(home.stat().st_size for home in of_stage if entry.present(home))
        _, peak = _measured(benchmarks.joinpath(*plan.parts, stage))
        found.append(_row(stage, len(of_stage), sum(each), max(each, default=0.0), peak, size))
    return found


def _row(
    stage: str,
    entries: int,
    seconds: float,
    longest: float | None,
    memory_mb: float | None,
    size: int | None,
) -> dict[str, Any]:
    return {
        "stage": stage,
        "entries": entries,
        "seconds": round(seconds, 3),
        "longest": None if longest is None else round(longest, 3),
        "memory_mb": memory_mb,
        "bytes": size,
    }


def _seconds(folder: Path) -> dict[str, float]:
    """File name -> seconds that making it took, of the entries in a folder with a record."""
    found: dict[str, float] = {}
    for name in filesystem.list_names(folder / records.FOLDER):
        made, _, _ = name.removesuffix(".json").rpartition(".")
        try:
            said = json.loads(filesystem.read_text(folder / records.FOLDER / name))
            found[made] = float(said["seconds"])
        except (OSError, ValueError, LookupError, TypeError):  # of an older version, or damaged
            continue
    return found


def _measured(folder: Path) -> tuple[list[float], float | None]:
    """The seconds of the jobs that Snakemake measured, and the largest memory in megabytes."""
    rows = [*_rows(folder)]
    seconds = [value for row in rows if (value := _number(row.get("s"))) is not None]
    peaks = [value for row in rows if (value := _number(row.get("max_rss"))) is not None]
    return seconds, max(peaks, default=None)


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file, delimiter="\t")


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:  # `-` or NA of a job that was too short to be measured
        return None
