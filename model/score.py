"""Scores of the labels that come before any 3D network: fused 2D embeddings and pseudo-labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.entries import read_array, read_entry, read_text
from model.labels import LabelledScan
from model.metrics import PROTOCOLS, confusion, score

_ROWS = 1 << 16  # voxels whose embeddings are in memory at once


def summarise(
    row: str, split: str, classes: Sequence[str], confusions: Mapping[str, NDArray[np.int64]]
) -> dict[str, Any]:
    """One result as plain JSON: confusions (K, K + 1) of each scan and in total, and all scores.

    `row` is what was scored (a key of `model.report.ROWS`), `split` names the scans.
    """
    total = np.sum([confusions[scan] for scan in sorted(confusions)], axis=0)
    return {
        "row": row,
        "split": split,
        "classes": list(classes),
        "scans": {scan: confusions[scan].tolist() for scan in sorted(confusions)},
        "total": total.tolist(),
        "scores": {p: score(total, classes, p).as_json() for p in PROTOCOLS},
    }


def score_fused(
    scans: Sequence[LabelledScan], targets: Sequence[Path], text: Path, split: str
) -> dict[str, Any]:
    """The fused 2D embeddings read with the text of all classes, no scene label used.

    `targets` are the target entries of the `scans`, in their order. Points of voxels that no frame
    sees have no prediction.
    """
    embedding, classes = read_text(text)
    confusions = {}
    for scan, path in zip(scans, targets, strict=True):
        entry = read_entry(path)
        voxel = read_array(entry, "voxel")
        best = np.zeros(len(voxel), np.int64)
        for begin in range(0, len(best), _ROWS):
            rows = slice(begin, begin + _ROWS)
            feature = read_array(entry, "feature", rows).astype(np.float32)
            best[rows] = (feature @ embedding.T).argmax(axis=1)
        confusions[scan.scan] = _count(scan, voxel, best, len(classes))
    return summarise("fused", split, classes, confusions)


def score_pseudo_labels(
    scans: Sequence[LabelledScan],
    targets: Sequence[Path],
    pseudo_labels: Sequence[Path],
    split: str,
    filtered: bool,
) -> dict[str, Any]:
    """The pseudo-labels with the scene-level filter, or (not `filtered`) before it.

    `targets` and `pseudo_labels` are the entries of the `scans`, in their order.
    """
    classes = scans[0].classes
    confusions = {}
    for scan, target, pseudo in zip(scans, targets, pseudo_labels, strict=True):
        voxel = read_array(read_entry(target), "voxel")
        label = read_array(read_entry(pseudo), "label" if filtered else "open")
        confusions[scan.scan] = _count(scan, voxel, label, len(classes))
    row = "pseudo_labels" if filtered else "pseudo_labels_open"
    return summarise(row, split, classes, confusions)


def _count(
    scan: LabelledScan, voxel: NDArray[np.integer], label: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Confusion on the points of one scan, given the labels (V,) of some of its voxels (V,)."""
    truth, voxel_of_point = scan.ground_truth()
    of_voxel = np.full(int(voxel_of_point.max(initial=-1)) + 1, -1, np.int64)
    of_voxel[voxel] = label
    return confusion(truth, of_voxel[voxel_of_point], classes)
