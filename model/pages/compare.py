"""One page about several runs: what differs in what was asked, and in every score."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from model.pages import charts
from model.pages.page import template
from model.pages.sections import OVER
from model.reports.lines import MEANS, Line, cell, gain, lines
from model.scoring import protocols
from pipeline.errors import BadInput

_FEW = 12  # runs, so that a table can be read
Kind = tuple[str, str]  # row and split of a line


@dataclass(frozen=True)
class Run:
    """A finished run: the content of its table.json, and of its run.json if it has one."""

    name: str
    table: Mapping[str, Any]
    asked: Mapping[str, Any] | None = None
    lines: Mapping[Kind, Line] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """A score, or how far it is from that of the first run: `sign` is -1, 0 or 1."""

    text: str
    sign: int = 0


def read_run(folder: Path) -> Run:
    """A run by its folder of results. Raises `BadInput` where that has no scores."""
    remedy = "name folders such as results/demo/latest"
    try:
        table = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        what = f"has no readable table.json ({getattr(error, 'strerror', None) or error})"
        raise BadInput(folder, what, remedy) from error
    if not isinstance(table, dict) or not table.get("results") or "protocol" not in table:
        raise BadInput(folder, "has no scores of one dataset in its table.json", remedy)
    try:
        asked = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        asked = None
    except (OSError, ValueError) as error:
        raise BadInput(folder / "run.json", f"cannot be read ({error})", "run snakemake") from error
    real = folder.resolve()
    return run_of(f"{real.parent.name}/{real.name}", table, asked)


def run_of(name: str, table: Mapping[str, Any], asked: Mapping[str, Any] | None = None) -> Run:
    """A run by the content of its files."""
    return Run(name, table, asked, {(e.row, e.split): e for e in lines(table["results"])})


def render(runs: Sequence[Run]) -> str:
    """One HTML page which needs no other file; scores are compared with those of the first run.

    Raises `BadInput` for fewer than two runs, or too many for one table.
    """
    if not 2 <= len(runs) <= _FEW:
        what = f"{len(runs)} runs cannot be compared on a page"
        raise BadInput("compare", what, f"name from 2 to {_FEW} folders of results")
    letters = ascii_uppercase[: len(runs)]
    protocol = str(runs[0].table["protocol"])
    kinds = [*dict.fromkeys(kind for run in runs for kind in run.lines)]
    plain = [
        kind for kind in kinds if any(run.lines[kind].plain for run in runs if kind in run.lines)
    ]
    classes = [_by_class(runs, kind, protocol, letters) for kind in plain]
    return template("compare.html.j2").render(
        title="Comparison of runs",
        runs=[(letter, run.name, _about(run)) for letter, run in zip(letters, runs, strict=True)],
        notes=_notes(runs, letters),
        settings=_settings(runs, letters),
        keys=_differences([run.asked and run.asked["keys"] for run in runs], "stage", letters),
        versions=_differences(
            [run.asked and run.asked["versions"] for run in runs], "package", letters
        ),
        protocol=protocol,
        means={metric: _means(runs, kinds, metric, protocol, letters) for metric in MEANS},
        protocols={
            f"{name}, over {over}": _means(runs, plain, "mIoU", name, letters, over)
            for over in runs[0].table["results"][0]["over"]
            for name in protocols.names()
        },
        charts=[chart for row in classes for chart in row["charts"]],
        classes=classes,
    )


def _about(run: Run) -> str:
    made = f"page made on {run.asked['made']}" if run.asked else ""
    simulated = "simulated rooms" if run.table["simulated"] else ""
    return ", ".join(filter(None, (str(run.table.get("title", "")), simulated, made)))


def _notes(runs: Sequence[Run], letters: str) -> list[str]:
    """What makes a comparison unfair, or incomplete."""
    found = []
    for letter, run in zip(letters[1:], runs[1:], strict=True):
        for kind in run.lines.keys() & runs[0].lines.keys():
            one, other = (each.lines[kind].results[0] for each in (runs[0], run))
            if set(one["scans"]) != set(other["scans"]):
                found.append(f"{letter} is not scored on the same scans as {letters[0]}.")
                break
    for letter, run in zip(letters[1:], runs[1:], strict=True):
        if run.table["protocol"] != runs[0].table["protocol"]:
            found.append(f"{letter} has another main protocol: {run.table['protocol']}.")
        if _classes(run) != _classes(runs[0]):
            found.append(f"{letter} has other classes than {letters[0]}.")
    for letter, run in zip(letters, runs, strict=True):
        if run.asked is None and any(other.asked for other in runs):
            found.append(f"{letter} has no run.json: its settings and keys are not known.")
    return found


def _classes(run: Run) -> list[str]:
    return next(iter(run.lines.values())).classes


def _settings(runs: Sequence[Run], letters: str) -> list[list[str]]:
    flat = [run.asked and _flat(run.asked["section"]) for run in runs]
    return _differences(flat, "setting", letters)


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted name -> value as text, of all settings in a section."""
    found: dict[str, str] = {}
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return found


def _differences(
    known: Sequence[Mapping[str, str] | None], what: str, letters: str
) -> list[list[str]]:
    """A row for each name whose values differ between runs, below a row of headings, or nothing."""
    names = sorted({name for each in known if each for name in each})
    rows = [[name, *((each or {}).get(name, "-") for each in known)] for name in names]
    differ = [
        row
        for row in rows
        if len({cell for cell, each in zip(row[1:], known, strict=True) if each is not None}) > 1
    ]
    return [[what, *letters], *differ] if differ else []


def _means(
    runs: Sequence[Run],
    kinds: Sequence[Kind],
    metric: str,
    protocol: str,
    letters: str,
    over: str = OVER,
) -> list[list[Cell]]:
    head = ["", "scans", *letters, *(f"{letter} - {letters[0]}" for letter in letters[1:])]
    rows = [[Cell(text) for text in head]]
    for kind in kinds:
        found = [run.lines.get(kind) for run in runs]
        name = next(line.name for line in found if line)
        values = [line.values(over, protocol, metric) if line else [] for line in found]
        rows.append([Cell(name), Cell(kind[1]), *_compared(values)])
    return rows


def _by_class(runs: Sequence[Run], kind: Kind, protocol: str, letters: str) -> dict[str, Any]:
    """The IoU of each class of one row in all runs, and a chart for each run but the first."""
    found = [run.lines.get(kind) for run in runs]
    first = next(line for line in found if line)
    classes = [*dict.fromkeys(name for line in found if line for name in line.classes)]
    head = ["class", *letters, *(f"{letter} - {letters[0]}" for letter in letters[1:])]
    rows, gains = [[Cell(text) for text in head]], []
    for name in classes:
        values = [
            line.values(OVER, protocol, "IoU", line.classes.index(name))
            if line and name in line.classes
            else []
            for line in found
        ]
        rows.append([Cell(name), *_compared(values)])
        gains.append([gain(values[0], each) for each in values[1:]])
    drawn = [
        charts.differences(
            f"{letter} - {letters[0]}: {first.name}",
            {name: gained[number] for name, gained in zip(classes, gains, strict=True)},
        )
        for number, letter in enumerate(letters[1:])
        if found[0] and found[number + 1]
    ]
    return {"title": f"{first.name} ({kind[1]})", "rows": rows, "charts": drawn}


def _compared(values: Sequence[Sequence[float]]) -> list[Cell]:
    """The score in each run, then its distance from that of the first in all others."""
    shown = [Cell(cell(each)) for each in values]
    for each in values[1:]:
        gained = gain(values[0], each)
        known = round(gained or 0.0, 1) + 0
        text = "-" if gained is None else f"{known:+.1f}"
        shown.append(Cell(text, (known > 0) - (known < 0)))
    return shown
