"""Soft guidance of superpoints: the mean embedding of each points where its mean target points.

SAS (ICCV 2025), the second part of its superpoint distillation; the output is pooled, too:

    L = mean over superpoints s of  1 - cos(mean over v in s of embedding_v, mean of target_v)

with embeddings and targets of unit length. A voxel without a superpoint is one of its own. With
class weights (`balance`) a superpoint weighs the mean of its voxels.
"""

import torch
import torch.nn.functional as F

from model.training import rows
from model.training.supervision import Supervision, distances, weighted_mean

ESS_ONLY = False


def loss(embedding: torch.Tensor, supervision: Supervision) -> torch.Tensor:
    """A scalar in [0, 2]; `embedding` (V, d) of any length."""
    group, size = supervision.groups
    zeros = supervision.text.new_zeros(len(size), embedding.shape[1])
    total = rows.added(
        lambda x, of: zeros.index_add(0, of, F.normalize(x.float(), dim=1)), embedding, group
    )
    distance = distances(total / size[:, None], supervision.pooled_target)
    return weighted_mean(distance, _weight(supervision))


def over(supervision: Supervision) -> torch.Tensor | float:
    """Superpoints, by their weights."""
    weight = _weight(supervision)
    return float(len(supervision.groups[1])) if weight is None else weight.sum()


def _weight(supervision: Supervision) -> torch.Tensor | None:
    weight = supervision.voxel_weight
    return None if weight is None else supervision.pooled(weight[:, None])[:, 0]
