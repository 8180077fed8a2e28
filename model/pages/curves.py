"""The curves of training that the file of a network holds, whatever is recorded there."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from model.network import files
from model.pages import charts
from model.pages.charts import Curve

_ACROSS = {"adapter": "epoch"}  # what the values of a part are of, if not of steps


def charts_of(networks: Mapping[str, Path]) -> list[str]:
    """A chart of each quantity, with a line for each network (name -> file) that recorded it.

    A file has parts, such as `network`, of quantities, such as `loss`: lists of numbers. Where a
    part has a list `step`, that says after which step each of the others was measured.
    """
    found: dict[tuple[str, str], dict[str, Curve]] = {}
    for run, path in networks.items():
        recorded = json.loads(files.read_metadata(path).get("curves", "{}"))
        for part, quantity, curve in _curves(recorded):
            found.setdefault((part, quantity), {})[run] = curve
    return [
        charts.curves(f"{quantity} ({part})", lines, _ACROSS.get(part, "step"))
        for (part, quantity), lines in found.items()
    ]


def _curves(recorded: Any) -> Iterator[tuple[str, str, Curve]]:
    """Part, quantity and curve of all lists of numbers in what a network recorded."""
    for part, quantities in recorded.items() if isinstance(recorded, Mapping) else ():
        named = quantities if isinstance(quantities, Mapping) else {part: quantities}
        steps: Any = named.get("step")
        for quantity, values in named.items():
            if quantity != "step" and _numbers(values):
                known = _numbers(steps) and len(steps) == len(values)
                across = steps if known else range(1, len(values) + 1)
                yield str(part), str(quantity), Curve(across, values)


def _numbers(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) > 1
        and all(isinstance(value, (int, float)) for value in values)
    )
