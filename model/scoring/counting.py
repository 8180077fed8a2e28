"""Counts of labels against ground truth: the counter, and what precedes any 3D network.

That is the fused 2D embeddings and the pseudo-labels.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.data.entries import read_array, read_entry, read_labels, read_text
from model.data.labels import LabelledScan
from model.inference.ensemble import read_fused
from model.scoring.results import VOTED, Result, as_result
from pipeline.geometry.votes import majority, mean_over


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


def count(scan: LabelledScan, label: NDArray[np.integer], classes: int) -> NDArray[np.int64]:
    """Confusion matrices (2, K, K + 1) of one scan: over its points, and over its voxels.

    `label` (M,) is the predicted class of each voxel, -1 where there is none. A point has the
    label of its voxel. The true class of a voxel is that of most of its labelled points.
    """
    truth, voxel_of_point = scan.ground_truth()
    of_voxel = majority(truth, voxel_of_point, len(label))
    over_points = confusion(truth, label[voxel_of_point], classes)
    return np.stack([over_points, confusion(of_voxel, label, classes)])


def have_superpoints(scans: Sequence[LabelledScan]) -> bool:
    """Whether any of the scans has superpoints."""
    return any((scan.superpoints() >= 0).any() for scan in scans)


def count_fused(
    scans: Sequence[LabelledScan],
    targets: Sequence[Path],
    text: Path,
    split: str,
    needs: Collection[str] = ("images",),
) -> list[Result]:
    """Count the fused 2D embeddings, classified by the text of all classes without scene tags.

    `targets` are the target entries of the `scans`, in their order, and `needs` is what they were
    made from. Points of voxels that no frame sees have no prediction. If any scan has superpoints,
    there is a second result: the argmax of the class probabilities softmax(cos(x, T) / 0.05),
    averaged over the seen voxels of each superpoint, as those of a network are averaged.
    """
    embedding, classes = read_text(text)
    plain, voted = {}, {}
    for scan, path in zip(scans, targets, strict=True):
        fused = read_fused(path, embedding)
        mean = mean_over(fused.probability, scan.superpoints()[fused.voxel])
        plain[scan.scan] = _count(scan, fused.voxel, fused.label, len(classes))
        voted[scan.scan] = _count(scan, fused.voxel, mean.argmax(axis=1), len(classes))
    results = [as_result("fused", split, classes, plain, needs)]
    if have_superpoints(scans):
        needs = [*needs, "superpoints"]
        results.append(as_result("fused" + VOTED, split, classes, voted, needs))
    return results


def count_pseudo_labels(
    scans: Sequence[LabelledScan],
    targets: Sequence[Path],
    pseudo_labels: Sequence[Path],
    split: str,
    filtered: bool,
    needs: Collection[str] = ("images",),
) -> Result:
    """Count the pseudo-labels, filtered by scene tags or (not `filtered`) before that.

    `targets` and `pseudo_labels` are the entries of the `scans`, in their order, and `needs` is
    what the labels were made from.
    """
    classes = scans[0].classes
    confusions = {}
    for scan, target, pseudo in zip(scans, targets, pseudo_labels, strict=True):
        voxel = read_array(read_entry(target), "voxel")
        label = read_array(read_entry(pseudo), "label" if filtered else "open")
        confusions[scan.scan] = _count(scan, voxel, label, len(classes))
    row = "pseudo_labels" if filtered else "pseudo_labels_open"
    return as_result(row, split, classes, confusions, needs)


def count_refined_labels(
    scans: Sequence[LabelledScan],
    targets: Sequence[Path],
    refined: Path,
    split: str,
    needs: Collection[str] = ("images", "tags"),
) -> Result:
    """Count the labels that the networks of a run learn, where there is one.

    `targets` are the entries of the `scans`, in their order. Points without a label are left out,
    because not labelling what is uncertain is the purpose.
    """
    classes = scans[0].classes
    confusions = {}
    for scan, target in zip(scans, targets, strict=True):
        voxel = read_array(read_entry(target), "voxel")
        counts = _count(scan, voxel, read_labels(refined, scan.scan).label, len(classes))
        counts[:, :, -1] = 0
        confusions[scan.scan] = counts
    return as_result("refined_labels", split, classes, confusions, needs)


def _count(
    scan: LabelledScan, voxel: NDArray[np.integer], label: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """`count`, given the labels (V,) of some of the voxels (V,)."""
    of_voxel = np.full(int(scan.ground_truth()[1].max(initial=-1)) + 1, -1, np.int64)
    of_voxel[voxel] = label
    return count(scan, of_voxel, classes)
