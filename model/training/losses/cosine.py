"""Soft guidance: the predicted embeddings point where the fused 2D embeddings point.

3DSS-VLG (Xu et al., ECCV 2024), embeddings soft guidance stage:

    L = mean over voxels v of  1 - cos(embedding_v, target_v)

With class weights w (`balance`) it is the mean weighted by w of each voxel's pseudo-label, voxels
without one weighing 1.
"""

import torch

from model.training.predicted import Predicted, distances
from model.training.supervision import Supervision, weighted_mean

ESS_ONLY = False
OF_ROWS = distances


def loss(predicted: Predicted, supervision: Supervision) -> torch.Tensor:
    """A scalar in [0, 2]; of V predicted embeddings of any length."""
    return weighted_mean(predicted.of(distances)[:, 0], supervision.voxel_weight)


def over(supervision: Supervision) -> torch.Tensor | float:
    """Voxels, by their weights."""
    return supervision.voxels
