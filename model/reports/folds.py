"""The table of all folds: each scan is scored once, by networks that were not trained on it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.reports.report import write_report
from model.scoring.results import Result, as_result

HELD_OUT = "held-out"  # in the place of a split's name: all scans, each in its own fold
_NUMBERS = ("seed", "rotations", "selection")  # what a network's result says beside its scores


def pool(folds: Mapping[str, Sequence[Result]]) -> list[Result]:
    """One result for each kind and seed, scored from the counts of all folds together.

    `folds` are the results of each fold by the area held out, as `results.as_result` makes them.
    Scores are of the summed counts, and no mean of the folds' scores: a class that an area lacks
    would count in the one and not in the other. Raises `ValueError` where a scan is scored in two
    folds, or where folds have scored different things.
    """
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for results in folds.values():
        for result in results:
            kind = (result["row"], result.get("seed"), result.get("rotations"))
            groups.setdefault(kind, []).append(result)
    pooled = []
    for kind, parts in groups.items():
        scans = [scan for part in parts for scan in part["scans"]]
        if len(parts) != len(folds) or len(set(scans)) != len(scans):
            raise ValueError(f"{kind[0]} is not scored once on each scan, fold by fold")
        counts = {scan: np.array(c, np.int64) for p in parts for scan, c in p["scans"].items()}
        said = {name: parts[0][name] for name in _NUMBERS if name in parts[0]}
        pooled.append(as_result(kind[0], HELD_OUT, parts[0]["classes"], counts) | said)
    return pooled


def write_folds(
    folds: Mapping[str, Sequence[Result]],
    out_prefix: Path,
    dataset: str,
    protocol: str,
    simulated: bool = False,
) -> str:
    """Write the tables, pooled and of each fold, as `write_report`; return the text.

    Raises `ValueError` as `pool` does.
    """
    title = (
        f"{dataset}, {len(folds)}-fold: of the areas {', '.join(folds)} each is held out once, by "
        "networks trained on the others.\nScores are of the counts of all folds together."
    )
    parts = [r | {"split": f"area {area}"} for area, results in folds.items() for r in results]
    return write_report(pool(folds), out_prefix, title, protocol, simulated, parts=parts)
