"""Scores as in the ScanNet benchmark.

Source: `BenchmarkScripts/3d_evaluation/evaluate_semantic_label.py` of github.com/ScanNet/ScanNet.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.scoring.scores import (
    Scores,
    class_accuracy,
    class_iou,
    mean_of_known,
    overall_accuracy,
)


def score(counts: NDArray[np.int64], classes: Sequence[str]) -> Scores:
    """IoU = TP / (TP + FP + FN); a point without a prediction is a miss of its class.

    A class that neither occurs nor is predicted is left out of the means (the benchmark's script
    fails there). The benchmark has no accuracies; ours count misses.
    """
    iou, accuracy = class_iou(counts), class_accuracy(counts)
    mean_iou, mean_accuracy = mean_of_known(iou), mean_of_known(accuracy)
    return Scores(iou, accuracy, mean_iou, mean_accuracy, overall_accuracy(counts))
