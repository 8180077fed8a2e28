"""Scores of the labels that come before any 3D network: fused 2D embeddings and pseudo-labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.data.entries import read_array, read_entry, read_text
from model.data.labels import LabelledScan
from model.scoring.metrics import PROTOCOLS, confusion, score
from pipeline.geometry.votes import majority

OVER = ("points", "voxels")  # what is counted
_ROWS = 1 << 16  # voxels whose embeddings are in memory at once


def summarise(
    row: str, split: str, classes: Sequence[str], confusions: Mapping[str, NDArray[np.int64]]
) -> dict[str, Any]:
    """One result as plain JSON: counts of each scan and in total, and all scores of the total.

    `row` is what was scored (a key of `model.reports.report.ROWS`), `split` names the scans, and
    `confusions` (2, K, K + 1) of each are those of `count`: one for each of `OVER`.
    """
    total = np.sum([confusions[scan] for scan in sorted(confusions)], axis=0)
    return {
        "row": row,
        "split": split,
        "classes": list(classes),
        "over": list(OVER),
        "scans": {scan: confusions[scan].tolist() for scan in sorted(confusions)},
        "total": total.tolist(),
        "scores": {
            over: {p: score(counts, classes, p).as_json() for p in PROTOCOLS}
            for over, counts in zip(OVER, total, strict=True)
        },
    }


def count(scan: LabelledScan, label: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Confusions (2, K, K + 1) of one scan over its points, and over its voxels.

    A point has the label of its voxel, of which `label` (M,) are all, -1 where there is none. A
    voxel is, in truth, what most of its labelled points are.
    """
    truth, voxel_of_point = scan.ground_truth()
    of_voxel = majority(truth, voxel_of_point, len(label))
    over_points = confusion(truth, label[voxel_of_point], classes)
    return np.stack([over_points, confusion(of_voxel, label, classes)])


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
    """`count`, given the labels (V,) of some of the voxels (V,)."""
    of_voxel = np.full(int(scan.ground_truth()[1].max(initial=-1)) + 1, -1, np.int64)
    of_voxel[voxel] = label
    return count(scan, of_voxel, classes)
