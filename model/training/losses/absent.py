"""No voxel is of a class that is absent from the scene tags.

    L = - mean over voxels v of  log(1 - sum over absent k of p_vk),
    p_v = softmax_k(cos(embedding_v, text_k) / temperature)

The scene tags say for certain which classes a scan does not have (Xu et al., ECCV 2024, use that
for pseudo-labels only). Source of the term: this project; it is the negative log-likelihood of "one
of the classes in the tags".
"""

import torch

from model.training.predicted import Predicted, logits
from model.training.supervision import Supervision

ESS_ONLY = True  # scene tags reach the network in variants with specialisation only
OF_ROWS = logits


def loss(predicted: Predicted, supervision: Supervision) -> torch.Tensor:
    """A scalar >= 0; of V predicted embeddings of any length."""
    log_p = torch.log_softmax(predicted.of(logits), dim=1)
    among = log_p.masked_fill(~supervision.present_of_voxel, -torch.inf).logsumexp(dim=1)
    some = supervision.present_of_voxel.any(dim=1)  # a scan without tags says nothing
    if not bool(some.any()):
        return log_p.sum() * 0.0
    return -among[some].mean()


def over(supervision: Supervision) -> torch.Tensor | float:
    """Voxels of scans with tags."""
    return supervision.present_of_voxel.any(dim=1).sum()
