"""Soft guidance by superpoints: each embedding points where its superpoint's target points.

SAS (ICCV 2025), the first part of its superpoint distillation:

    L = mean over voxels v of  1 - cos(embedding_v, t_s(v)),   t_s = mean over v in s of target_v

with targets of unit length. A voxel without a superpoint is a superpoint of its own. With class
weights w (`balance`) it is the mean weighted as in `cosine`.
"""

import torch

from model.training.predicted import Predicted, pooled_distances
from model.training.supervision import Supervision, weighted_mean

ESS_ONLY = False
OF_ROWS = pooled_distances


def loss(predicted: Predicted, supervision: Supervision) -> torch.Tensor:
    """A scalar in [0, 2]; of V predicted embeddings of any length."""
    return weighted_mean(predicted.of(pooled_distances)[:, 0], supervision.voxel_weight)


def over(supervision: Supervision) -> torch.Tensor | float:
    """Voxels, by their weights."""
    return supervision.voxels
