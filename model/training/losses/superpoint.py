"""Soft guidance of superpoints: the mean embedding of each points where its mean target points.

SAS (ICCV 2025), the second part of its superpoint distillation; the output is pooled, too:

    L = mean over superpoints s of  1 - cos(mean over v in s of embedding_v, mean of target_v)

with embeddings and targets of unit length. A voxel without a superpoint is one of its own. With
class weights (`balance`) a superpoint weighs the mean of its voxels.
"""

import torch
import torch.nn.functional as F

from model.training.predicted import Predicted
from model.training.supervision import Supervision, distance, weighted_mean

ESS_ONLY = False


def loss(predicted: Predicted, supervision: Supervision) -> torch.Tensor:
    """A scalar in [0, 2]; of V predicted embeddings of any length."""
    target, weight = supervision.pooled_target, _weight(supervision)
    return predicted.of_sums(
        lambda total: weighted_mean(distance(F.normalize(total, dim=1), target), weight)
    )


def over(supervision: Supervision) -> torch.Tensor | float:
    """Superpoints, by their weights."""
    weight = _weight(supervision)
    return float(len(supervision.groups[1])) if weight is None else weight.sum()


def _weight(supervision: Supervision) -> torch.Tensor | None:
    weight = supervision.voxel_weight
    return None if weight is None else supervision.pooled(weight[:, None])[:, 0]
