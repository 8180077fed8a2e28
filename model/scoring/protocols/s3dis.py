"""Scores as usual for S3DIS: mIoU, mAcc (mean recall) and OA of pooled counts.

Source: `SemSegEvaluator` in `pointcept/engines/hooks/evaluator.py` of
github.com/Pointcept/Pointcept, and other code for S3DIS.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.scoring.scores import Scores, class_accuracy, class_iou, overall_accuracy


def score(counts: NDArray[np.int64], classes: Sequence[str]) -> Scores:
    """IoU = TP / (TP + FP + FN); a point without a prediction is a miss of its class.

    A class that does not occur counts as 0 in both means, and has 0 as its own scores.
    """
    iou, accuracy = (np.nan_to_num(each(counts)) for each in (class_iou, class_accuracy))
    return Scores(
        iou, accuracy, float(iou.mean()), float(accuracy.mean()), overall_accuracy(counts)
    )
