"""Semantic segmentation scores: one confusion counter, several protocols by name."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PROTOCOLS = ("scannet_official", "openscene", "foreground", "s3dis")
_STUFF = frozenset({"wall", "floor", "ceiling"})


@dataclass(frozen=True)
class Scores:
    """Scores in 0..1; nan where there is nothing to score."""

    iou: NDArray[np.float64]  # (K,)
    accuracy: NDArray[np.float64]  # (K,) recall of each class
    mean_iou: float
    mean_accuracy: float
    overall_accuracy: float

    def as_json(self) -> dict[str, object]:
        """Plain JSON under the field's names, with null for nan."""

        def plain(values: NDArray[np.float64]) -> list[float | None]:
            return [None if np.isnan(v) else float(v) for v in values]

        means = plain(np.array([self.mean_iou, self.mean_accuracy, self.overall_accuracy]))
        return {
            **dict(zip(("mIoU", "mAcc", "OA"), means, strict=True)),
            "IoU": plain(self.iou),
            "Acc": plain(self.accuracy),
        }


def confusion(
    ground_truth: NDArray[np.integer], prediction: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Count points (K, K + 1) by [ground truth][prediction].

    Points whose ground truth (N,) is -1 are left out. A prediction (N,) that is none of the K
    classes (-1: there is none) goes to the last column. Raises `ValueError` where the lengths
    differ or a ground truth is beyond the classes.
    """
    if ground_truth.shape != prediction.shape:
        raise ValueError(f"{prediction.shape} predictions for {ground_truth.shape} labels")
    if ground_truth.max(initial=-1) >= classes:
        raise ValueError(f"label {ground_truth.max()} is none of {classes} classes")
    counted = ground_truth >= 0
    truth = ground_truth[counted].astype(np.int64)
    guess = prediction[counted].astype(np.int64)
    guess[(guess < 0) | (guess >= classes)] = classes
    flat = np.bincount(truth * (classes + 1) + guess, minlength=classes * (classes + 1))
    return flat.reshape(classes, classes + 1)


def score(counts: NDArray[np.int64], classes: Sequence[str], protocol: str) -> Scores:
    """Scores of a confusion matrix (K, K + 1) under a protocol.

    - `scannet_official`: IoU = TP / (TP + FP + FN) as in the ScanNet benchmark; a point without
      prediction is a miss of its class. A class that neither occurs nor is predicted is skipped
      (the benchmark's script fails there); the benchmark has no accuracies, ours count misses.
    - `openscene`: points without prediction are dropped from the IoU but not from the accuracies;
      a class that does not occur counts as 0 in both means, as in the OpenScene release.
    - `foreground`: as the first, with means and OA over all classes but wall, floor and ceiling.
    - `s3dis`: as the first, but a class that does not occur counts as 0 in both means, as in
      Pointcept and other code for S3DIS: mIoU, mAcc (mean recall) and OA of pooled counts.

    Raises `ValueError` for another protocol.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"{protocol!r} is none of {PROTOCOLS}")
    square = counts[:, :-1]
    hit, occurs = np.diag(square), counts.sum(axis=1)
    of_class = square.sum(axis=1) if protocol == "openscene" else occurs
    union = of_class + square.sum(axis=0) - hit
    iou, accuracy = _ratio(hit, union), _ratio(hit, occurs)
    if protocol == "openscene":
        iou = np.where(occurs > 0, iou, np.nan)
        mean_iou = float(np.nan_to_num(iou).mean())
        mean_accuracy = float(np.nan_to_num(accuracy).mean())
        return Scores(
            iou, accuracy, mean_iou, mean_accuracy, float(_ratio(hit.sum(), occurs.sum()))
        )
    if protocol == "s3dis":
        iou, accuracy = np.nan_to_num(iou), np.nan_to_num(accuracy)
    kept = np.ones(len(classes), bool)
    if protocol == "foreground":
        kept = np.array([name not in _STUFF for name in classes])
    return Scores(
        iou,
        accuracy,
        _mean(iou[kept]),
        _mean(accuracy[kept]),
        float(_ratio(hit[kept].sum(), occurs[kept].sum())),
    )


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """part / whole, nan where the whole is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
