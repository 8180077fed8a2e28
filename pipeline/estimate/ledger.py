"""How good the estimate of a run was: what each stage was expected to take, and what it took."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.estimate import known
from pipeline.estimate.forecast import Forecast
from pipeline.plan import graph
from pipeline.plan.plan import Plan
from pipeline.progress import format_duration
from pipeline.tables import aligned, format_bytes
from pipeline.whole_file import whole_file

NAME = "ledger"  # .txt and .json, beside the plan


def rows(
    plan: Plan,
    forecasts: Mapping[str, Forecast],
    expected: Mapping[str, float],
    took: Mapping[str, float],
) -> list[dict[str, Any]]:
    """A row for each stage of which jobs ended: `estimated` and `seen`, None where unknown.

    `seconds` are those of its jobs, one by one: `expected`, and as Snakemake saw them. `cpu` and
    `bytes` are of the entries alone.
    """
    found = []
    for stage, forecast in forecasts.items():
        if not forecast.missing or stage not in took:
            continue
        made = _made(plan, stage, forecast)
        cpus = [each.cpu for each in made if each.cpu is not None]
        seen = {
            "seconds": round(took[stage], 1),
            "cpu": round(sum(cpus), 1) if len(cpus) == len(forecast.missing) else None,
            "bytes": sum(each.bytes for each in made) if made else None,
        }
        known_ = forecast.entries is not None
        estimated = {
            "seconds": expected.get(stage) if known_ else None,
            "cpu": forecast.total("cpu"),
            "bytes": forecast.total("bytes"),
        }
        row = {"stage": stage, "entries": len(forecast.missing)}
        found.append({**row, "estimated": estimated, "seen": seen})
    return found


def _made(plan: Plan, stage: str, forecast: Forecast) -> list[known.Known]:
    """The records of what was missing and is there now."""
    if stage == "simulate":
        records = known.of_stage(plan, stage, most=10**9)
        return [records[name] for name in forecast.missing if name in records]
    if not graph.stage(stage).stored:
        return []
    read = (known.of_entry(plan.home(stage, name)) for name in forecast.missing)
    return [each for each in read if each]


def write(plan: Plan, content: Mapping[str, Any]) -> Path:
    """Write both files of the ledger beside the plan; the path of the text."""
    prefix = plan.path.with_name(NAME)
    texts = {".json": json.dumps(content, indent=1), ".txt": text(content) + "\n"}
    for suffix, each in texts.items():
        with whole_file(prefix.with_suffix(suffix)) as partial:
            partial.write_text(each, encoding="utf-8")
    return prefix.with_suffix(".txt")


def content(
    dataset: str, estimated: float | None, seen: float, on: str, stages: list[dict[str, Any]]
) -> dict[str, Any]:
    """What a ledger says, plain JSON; seconds from the first job to the last one's end.

    `on` are the cores of the run or, on a cluster, the jobs that it may have there at once.
    """
    return {
        "dataset": dataset,
        "ended": datetime.now().astimezone().isoformat(" ", "seconds"),
        "on": on,
        "seconds": {"estimated": estimated, "seen": round(seen, 1)},
        "stages": stages,
    }


def sentence(said: Mapping[str, Any]) -> str:
    """The whole run in a sentence."""
    estimated, seen = said["seconds"]["estimated"], said["seconds"]["seen"]
    took = f"took {format_duration(seen)} on {said['on']}"
    if estimated is None:
        return f"{took}; it was not estimated before"
    off = f" ({seen / estimated - 1:+.0%})" if estimated else ""
    return f"{took}, estimated were {format_duration(estimated)}{off}"


def text(said: Mapping[str, Any]) -> str:
    """The ledger as a table."""
    head = ("stage", "made", "time", "seen", "CPU", "seen", "disk", "seen")
    rows: list[tuple[str, ...]] = [head]
    for row in [*said["stages"], _sum(said["stages"])]:
        cells = []
        for what, formatted in (("seconds", _time), ("cpu", _time), ("bytes", _bytes)):
            cells += [formatted(row[side].get(what)) for side in ("estimated", "seen")]
        rows.append((row["stage"], str(row["entries"]), *cells))
    return f"{said['dataset']}: {sentence(said)}\n\n{aligned(rows, left=(0,))}"


def _sum(stages: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the stages of which both sides are known."""
    total: dict[str, Any] = {"stage": "all", "entries": sum(row["entries"] for row in stages)}
    for side in ("estimated", "seen"):
        total[side] = {
            what: sum(
                row[side][what]
                for row in stages
                if None not in (row["estimated"].get(what), row["seen"].get(what))
            )
            for what in ("seconds", "cpu", "bytes")
        }
    return total


def _time(value: float | None) -> str:
    return "" if value is None else format_duration(value)


def _bytes(value: float | None) -> str:
    return "" if value is None else format_bytes(value)
