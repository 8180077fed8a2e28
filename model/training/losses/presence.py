"""The classes of a scan are those in its tags: a multi-label loss on the scan as a whole.

WSegPC (TPAMI 2025): multi-label soft margin loss of the mean logits z (K,) of a scan against its
tags y (K,),

    L = - mean over scans and classes of  y_k log sigmoid(z_k) + (1 - y_k) log sigmoid(-z_k)

There logits are free; here they are cosines over the temperature, which are all positive, so z_k
is the mean logit of class k less the mean over the classes.
"""

import torch
import torch.nn.functional as F

from model.training.predicted import Predicted, logits
from model.training.supervision import Supervision, group_means

ESS_ONLY = True  # scene tags reach the network in variants with specialisation only
OF_ROWS = logits


def loss(predicted: Predicted, supervision: Supervision) -> torch.Tensor:
    """A scalar >= 0; of V predicted embeddings of any length."""
    assert supervision.present is not None
    assert supervision.scan is not None
    count = torch.bincount(supervision.scan, minlength=len(supervision.present)).clamp_min(1)
    mean = group_means(predicted.of(logits), supervision.scan, count)
    return F.multilabel_soft_margin_loss(
        mean - mean.mean(dim=1, keepdim=True), supervision.present.float()
    )


def over(supervision: Supervision) -> torch.Tensor | float:
    """Scans."""
    assert supervision.present is not None
    return float(len(supervision.present))
