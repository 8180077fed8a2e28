"""Cross-entropy of the similarities to the texts of the classes against the pseudo-labels.

    L = - sum over v of  w_y log softmax_k(cos(embedding_v, text_k) / temperature)_y  /  sum w_y

with y the pseudo-label of voxel v; voxels without one do not count. The class weights w are 1
without `balance`. With soft labels q (V, K) it is the cross-entropy - sum_k q_k log softmax_k, with
the weight of the label. With `mask_absent` the softmax is over the classes among the scan's tags
only (WSegPC, TPAMI 2025).

It is the loss by which 3DSS-VLG (Xu et al., ECCV 2024) fits its adapter in embeddings
specialisation, put to the 3D network; the published method does without it.
"""

import torch

from model.training.cross_entropy import cross_entropy, weight_of
from model.training.predicted import Predicted, logits
from model.training.supervision import Supervision, weighted_mean

ESS_ONLY = True  # pseudo-labels are used in variants with specialisation only
OF_ROWS = logits
_ABSENT = -1e6  # added to the logits of absent classes


def loss(predicted: Predicted, supervision: Supervision) -> torch.Tensor:
    """A scalar; of V predicted embeddings of any length."""
    found = predicted.of(logits)
    if supervision.mask_absent:
        found = found + _ABSENT * ~supervision.present_of_voxel
    if supervision.probability is None:
        return cross_entropy(found, supervision.label, supervision.class_weight)
    each = -(supervision.probability.float() * torch.log_softmax(found, dim=1)).sum(dim=1)
    return weighted_mean(each, _weight(supervision))


def over(supervision: Supervision) -> torch.Tensor | float:
    """Voxels with a pseudo-label, by their weights."""
    return weight_of(supervision.label, supervision.class_weight)


def _weight(supervision: Supervision) -> torch.Tensor:
    known, weight = supervision.label >= 0, supervision.voxel_weight
    return known.float() if weight is None else weight * known
