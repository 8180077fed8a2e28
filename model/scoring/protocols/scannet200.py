"""Scores as for ScanNet200: those of `scannet_official`, and the mIoU of each group of classes.

Source: Rozenberszki et al., *Language-Grounded Indoor 3D Semantic Segmentation in the Wild*, ECCV
2022, whose groups head, common and tail are by how frequent a class is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.scoring.protocols import scannet_official
from model.scoring.scores import Scores, mean_of_known


def score(counts: NDArray[np.int64], classes: Sequence[str], groups: Mapping[str, str]) -> Scores:
    """The scores of `scannet_official` with the mean IoU of each group, by its name.

    `groups` are by class, "" for none. A class that neither occurs nor is predicted is left out of
    all means; a group of which no class is left has nan.
    """
    found = scannet_official.score(counts, classes)
    of_class = [groups.get(name, "") for name in classes]
    names = [name for name in dict.fromkeys(of_class) if name]
    means = {name: mean_of_known(found.iou[np.array(of_class) == name]) for name in names}
    return replace(found, groups=means)
