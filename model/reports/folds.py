"""The table of all folds: each scan is scored once, by networks not trained on it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from model.reports.report import write_report
from model.scoring.results import Result, as_result

HELD_OUT = "held-out"  # instead of the name of a split: all scans, each in its own fold
_OF_NETWORK = ("seed", "selection")  # kept from the results of a network


def pool(folds: Mapping[str, Sequence[Result]]) -> list[Result]:
    """One result for each row and seed, with the counts of all folds.

    `folds` maps the area held out to its results, as `results.as_result` makes them. Scores are
    computed from the summed counts and are not the mean of the folds' scores, in which a class
    that an area lacks would count differently. Raises `ValueError` where a scan is scored in two
    folds, or where a row is missing from a fold.
    """
    groups: dict[tuple[str, int | None], list[Result]] = {}
    for results in folds.values():
        for result in results:
            kind = (result["row"], result.get("seed"))
            groups.setdefault(kind, []).append(result)
    pooled = []
    for (row, *_), parts in groups.items():
        scans = [scan for part in parts for scan in part["scans"]]
        if len(parts) != len(folds) or len(set(scans)) != len(scans):
            raise ValueError(f"{row} is not scored once on each scan of every fold")
        counts = {scan: np.array(c, np.int64) for p in parts for scan, c in p["scans"].items()}
        first = parts[0]
        known = {name: first[name] for name in _OF_NETWORK if name in first}
        if len({part.get("selection") for part in parts}) > 1:
            known["selection"] = "chosen in each fold, see the json file"
        pooled.append(as_result(row, HELD_OUT, first["classes"], counts, first["needs"]) | known)
    return pooled


def write_folds(
    folds: Mapping[str, Sequence[Result]],
    out_prefix: Path,
    dataset: str,
    protocol: str,
    simulated: bool = False,
) -> str:
    """Write the tables, pooled and of each fold, like `write_report`; return the text.

    Raises `ValueError` as `pool` does.
    """
    title = (
        f"{dataset}, {len(folds)}-fold: of the areas {', '.join(folds)} each is held out once and "
        "scored by networks trained on the others.\nScores are of the summed counts of all folds."
    )
    parts = [r | {"split": f"area {area}"} for area, results in folds.items() for r in results]
    return write_report(pool(folds), out_prefix, title, protocol, simulated, parts=parts)
