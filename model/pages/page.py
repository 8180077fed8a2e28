"""The page about a run, from its table.json and from what else is known of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from model.pages import sections
from model.pages.pictures import NOTHING, RIGHT, WRONG, ShownScan
from pipeline import tables

FOLDER = Path(__file__).parent


def render(
    table: Mapping[str, Any],
    asked: Mapping[str, Any] | None = None,
    curves: Sequence[str] = (),
    scans: Sequence[ShownScan] = (),
    legend: Sequence[Mapping[str, str]] = (),
    judged: str = "",
) -> str:
    """One HTML page which needs no other file.

    `table` is the content of table.json of a dataset, its folds or a transfer, and `asked` that of
    run.json, as `pipeline.jobs.asked` makes it. `judged` is what is shown as right and wrong.
    """
    title, _, about = str(table.get("title") or "Transfer").partition(":")
    return template("page.html.j2").render(
        title=title,
        about=about.strip(),
        scores=_scores(table),
        summary=_summary(table) if "scans" in table else None,
        asked=shown(asked) if asked else None,
        curves=curves,
        scans=scans,
        legend=legend,
        judged=judged,
    )


def template(name: str) -> jinja2.Template:
    """A template of this folder, in which text from names stays text."""
    loader = jinja2.FileSystemLoader(FOLDER)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True)
    environment.filters["words"] = tables.words
    return environment.get_template(name)


def legend_of(
    classes: Sequence[str], colors: NDArray[np.uint8], shown: Sequence[int], judged: bool
) -> list[dict[str, str]]:
    """The names and colours of some classes, and of right and wrong where there is ground truth."""
    found = [{"name": classes[k], "color": _hex(colors[k])} for k in shown]
    if judged:
        found += [{"name": "right", "color": _hex(RIGHT)}, {"name": "wrong", "color": _hex(WRONG)}]
    return [*found, {"name": "no class", "color": _hex(NOTHING)}]


def shown(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json holds, as tables of texts."""
    costs, known = [["stage", "entries", "time", "longest", "peak memory", "disk"]], asked["costs"]
    every = {what: [cost[what] for cost in known if cost[what] is not None] for what in _COSTS}
    in_all = {"stage": "in all", **{what: sum(each) for what, each in every.items()}}
    in_all |= {"longest": None, "memory_mb": max(every["memory_mb"], default=None)}
    for cost in [*known, in_all]:
        costs.append(
            [str(cost["stage"]), *(_shown(say, cost[what]) for what, say in _COSTS.items())]
        )
    return {
        "made": asked["made"],
        "changes": [change.split(" = ", 1) for change in asked["changes"]],
        "machine": [*asked["machine"].items()],
        "versions": [*asked["versions"].items()],
        "stage_keys": [*asked["keys"].items()],
        "costs": costs,
    }


def _scores(table: Mapping[str, Any]) -> list[sections.Scores]:
    if "groups" in table:
        return [
            sections.scores(
                group["results"],
                f"Trained on {group['trained_on']}, scored on {group['scored_on']}: "
                f"{group['classes']} classes",
                table["protocols"][group["scored_on"]],
                group["scored_on"] in table["simulated"],
            )
            for group in table["groups"]
        ]
    if "results" not in table:
        return []
    return [
        sections.scores(table["results"], "Scores", table["protocol"], bool(table["simulated"]))
    ]


def _summary(table: Mapping[str, Any]) -> dict[str, Any]:
    """What was seen of scans without labels, and predicted for them."""
    counts = [["scan", "", "points", "voxels", "frames", "seen %"]]
    classes = [["scan", "network", "classes"]]
    for scan in table["scans"]:
        numbers = [f"{scan[what]:,}" for what in ("points", "voxels", "frames")]
        counts.append([scan["scan"], scan["split"], *numbers, f"{100 * scan['seen']:.1f}"])
        for network, found in scan["classes"].items():
            ranked = sorted(found.items(), key=lambda each: -each[1])
            said = ", ".join(f"{name} {100 * share:.1f}" for name, share in ranked)
            classes.append([scan["scan"], network, said])
    notes = [
        "No labels, so nothing is scored: these are predicted classes, not how often they are "
        "correct.",
        *table["notes"],
    ]
    return {"notes": notes, "counts": counts, "classes": classes}


def _time(seconds: float) -> str:
    if seconds < 99.5:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


# How what an entry of run.json says of a stage is written.
_COSTS: dict[str, Callable[[float], str]] = {
    "entries": "{:,}".format,
    "seconds": _time,
    "longest": _time,
    "memory_mb": lambda megabytes: tables.format_bytes(1e6 * megabytes),
    "bytes": tables.format_bytes,
}


def _shown(say: Callable[[float], str], value: float | None) -> str:
    return "-" if value is None else say(value)


def _hex(color: Sequence[int]) -> str:
    return f"#{bytes(int(part) for part in color).hex()}"
