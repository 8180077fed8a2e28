"""Segmentation scores of a confusion matrix, and the shares that every protocol is built from.

A confusion matrix (K, K + 1) counts points by [ground truth][prediction]; its last column counts
points without a prediction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """Scores from 0 to 1; nan where there is nothing to score."""

    iou: NDArray[np.float64]  # (K,)
    accuracy: NDArray[np.float64]  # (K,) recall of each class
    mean_iou: float
    mean_accuracy: float
    overall_accuracy: float
    groups: Mapping[str, float] = field(default_factory=dict)  # mean IoU of some classes, by name

    def as_json(self) -> dict[str, object]:
        """Plain JSON under the field's names, with null for nan; groups only if there are any."""

        def plain(values: NDArray[np.float64]) -> list[float | None]:
            return [None if np.isnan(v) else float(v) for v in values]

        means = plain(np.array([self.mean_iou, self.mean_accuracy, self.overall_accuracy]))
        groups = dict(zip(self.groups, plain(np.array([*self.groups.values()])), strict=True))
        return {
            **dict(zip(("mIoU", "mAcc", "OA"), means, strict=True)),
            "IoU": plain(self.iou),
            "Acc": plain(self.accuracy),
            **({"groups": groups} if groups else {}),
        }


def class_iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """IoU = TP / (TP + FP + FN) of each class (K,), nan where that sum is 0.

    `counts` are (K, K + 1), or (K, K) to leave out points without a prediction.
    """
    hits = np.diag(counts)
    return ratio(hits, counts.sum(axis=1) + counts.sum(axis=0)[: len(counts)] - hits)


def class_accuracy(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Recall = TP / (TP + FN) of each class (K,), nan where the class does not occur."""
    return ratio(np.diag(counts), counts.sum(axis=1))


def overall_accuracy(counts: NDArray[np.int64], kept: NDArray[np.bool_] | None = None) -> float:
    """Share of points that are right, of all or of the `kept` (K,) classes; nan of no point."""
    rows = slice(None) if kept is None else kept
    return float(ratio(np.diag(counts)[rows].sum(), counts[rows].sum()))


def mean_of_known(values: NDArray[np.float64]) -> float:
    """The mean of the values that are not nan; nan if all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """part / whole in float64, nan where the whole is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    found = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found
