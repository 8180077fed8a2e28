"""Results of counting, as plain JSON: confusion matrices of each scan and in total, no scores.

Scores are computed from them when a table is written (`model.scoring.protocols`).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OVER = ("points", "voxels")  # what is counted
Result = dict[str, Any]


def read_results(path: Path) -> list[Result]:
    """The results in an entry of `evaluate`."""
    results: list[Result] = json.loads(path.read_text(encoding="utf-8"))["results"]
    return results


def as_result(
    row: str, split: str, classes: Sequence[str], confusions: Mapping[str, NDArray[np.int64]]
) -> Result:
    """One result: the counts of each scan and their total.

    `row` is what was counted (a key of `model.reports.lines.ROWS`), `split` names the scans, and
    `confusions` (2, K, K + 1) by scan are as `counting.count` makes them: one for each of `OVER`.
    """
    scans = sorted(confusions)
    return {
        "row": row,
        "split": split,
        "classes": list(classes),
        "over": list(OVER),
        "scans": {scan: confusions[scan].tolist() for scan in scans},
        "total": np.sum([confusions[scan] for scan in scans], axis=0).tolist(),
    }


def restricted(result: Mapping[str, Any], classes: Sequence[str]) -> Result:
    """A result on some of its classes.

    Points of other classes are not counted, and predictions of other classes are misses. The
    network's choice is still one among all of its classes.
    """
    kept = [result["classes"].index(name) for name in classes]
    confusions = {}
    for scan, counts in result["scans"].items():
        of_kept = np.asarray(counts, np.int64)[:, kept]
        missed = of_kept.sum(axis=2) - of_kept[:, :, kept].sum(axis=2)
        confusions[scan] = np.concatenate([of_kept[:, :, kept], missed[:, :, None]], axis=2)
    return {**result, **as_result(result["row"], result["split"], classes, confusions)}
