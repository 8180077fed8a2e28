"""Cross-entropy of the similarities to the texts of the classes against the pseudo-labels.

    L = - sum over v of  w_y log softmax_k(cos(embedding_v, text_k) / temperature)_y  /  sum w_y

with y the pseudo-label of voxel v; voxels without one do not count. The class weights w are 1
without `balance`. It is the loss by which 3DSS-VLG (Xu et al., ECCV 2024) fits its adapter in
embeddings specialisation, put to the 3D network; the published method does without it.
"""

import torch
import torch.nn.functional as F

from model.training.cross_entropy import cross_entropy
from model.training.supervision import Supervision

ESS_ONLY = True  # pseudo-labels are used in variants with specialisation only


def loss(embedding: torch.Tensor, supervision: Supervision) -> torch.Tensor:
    """A scalar; `embedding` (V, d) of any length."""
    similarity = F.normalize(embedding.float(), dim=1) @ supervision.text.T
    logits = similarity / supervision.temperature
    return cross_entropy(logits, supervision.label, supervision.class_weight)
