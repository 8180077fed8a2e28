"""Results of counting, as plain JSON: confusion matrices of each scan and in total, no scores.

Scores are computed from them when a table is written (`model.scoring.protocols`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OVER = ("points", "voxels")  # what is counted
# Ends of the names of rows: weights chosen by another rule than the config's (see `Trained`); class
# probabilities averaged in superpoints; combined with 2D.
RULES = {"last": "_last", "tags": "_tags"}
VOTED, ENSEMBLE = "_voted", "_2d"
ENDS = tuple(
    rule + end for rule in ("", *RULES.values()) for end in ("", VOTED, ENSEMBLE, ENSEMBLE + VOTED)
)
Result = dict[str, Any]


def read_results(path: Path) -> list[Result]:
    """The results in an entry of `evaluate`."""
    results: list[Result] = json.loads(path.read_text(encoding="utf-8"))["results"]
    return results


def as_result(
    row: str,
    split: str,
    classes: Sequence[str],
    confusions: Mapping[str, NDArray[np.int64]],
    needs: Iterable[str] = (),
) -> Result:
    """One result: the counts of each scan and their total.

    `row` is what was counted (a key of `model.reports.lines.ROWS`, which may end in `ENSEMBLE` and
    `VOTED`), `split` names the scans, `confusions` (2, K, K + 1) by scan are as `counting.count`
    makes them, one for each of `OVER`, and `needs` is what of a scan was needed besides its points.
    """
    scans = sorted(confusions)
    return {
        "row": row,
        "split": split,
        "needs": sorted(set(needs)),
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
    kind = (result["row"], result["split"])
    return {**result, **as_result(*kind, classes, confusions, result["needs"])}
