"""Soft guidance by superpoints: each embedding points where its superpoint's target points.

SAS (ICCV 2025), the first part of its superpoint distillation:

    L = mean over voxels v of  1 - cos(embedding_v, t_s(v)),   t_s = mean over v in s of target_v

with targets of unit length. A voxel without a superpoint is a superpoint of its own. With class
weights w (`balance`) it is the mean weighted as in `cosine`.
"""

import torch
import torch.nn.functional as F

from model.training import rows
from model.training.supervision import Supervision, weighted_mean

ESS_ONLY = False


def loss(embedding: torch.Tensor, supervision: Supervision) -> torch.Tensor:
    """A scalar in [0, 2]; `embedding` (V, d) of any length."""
    target, (group, _) = supervision.pooled_target, supervision.groups
    distance = rows.computed(
        lambda x, of: 1 - F.cosine_similarity(x.float(), target[of], dim=1), embedding, group
    )
    return weighted_mean(distance, supervision.voxel_weight)


def over(supervision: Supervision) -> torch.Tensor | float:
    """Voxels, by their weights."""
    return supervision.voxels
