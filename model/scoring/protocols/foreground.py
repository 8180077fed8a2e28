"""Scores of the objects in a room: `scannet_official` with means over its foreground classes.

Source: this project. Most points are of walls, floors and ceilings, which are also the easiest.
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

_STUFF = frozenset({"wall", "floor", "ceiling"})


def score(counts: NDArray[np.int64], classes: Sequence[str]) -> Scores:
    """IoU = TP / (TP + FP + FN) with misses; means and OA leave out wall, floor and ceiling."""
    kept = np.array([name not in _STUFF for name in classes])
    iou, accuracy = class_iou(counts), class_accuracy(counts)
    mean_iou, mean_accuracy = mean_of_known(iou[kept]), mean_of_known(accuracy[kept])
    return Scores(iou, accuracy, mean_iou, mean_accuracy, overall_accuracy(counts, kept))
