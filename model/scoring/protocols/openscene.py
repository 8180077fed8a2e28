"""Scores as in the release of OpenScene (Peng et al., CVPR 2023).

Source: `util/metric.py` of github.com/pengsongyou/openscene; the overall accuracy is ours.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.scoring.scores import Scores, class_accuracy, class_iou, overall_accuracy


def score(counts: NDArray[np.int64], classes: Sequence[str]) -> Scores:
    """Points without a prediction are dropped from the IoU but not from the accuracies.

    A class that does not occur has no IoU, and counts as 0 in both means.
    """
    iou = np.where(counts.sum(axis=1) > 0, class_iou(counts[:, :-1]), np.nan)
    accuracy = class_accuracy(counts)
    mean_iou, mean_accuracy = (float(np.nan_to_num(each).mean()) for each in (iou, accuracy))
    return Scores(iou, accuracy, mean_iou, mean_accuracy, overall_accuracy(counts))
