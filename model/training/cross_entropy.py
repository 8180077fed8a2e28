"""Cross-entropy with ignored labels, and weights that balance classes."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray


def class_weights(counts: NDArray[np.int64]) -> torch.Tensor:
    """1/sqrt(n) for each class (K,), 0 where n = 0, scaled so that a voxel's mean weight is 1."""
    counts = counts.astype(np.float64)
    weight = np.divide(1.0, np.sqrt(counts), where=counts > 0, out=np.zeros_like(counts))
    mean = (weight * counts).sum() / max(counts.sum(), 1.0)
    return torch.from_numpy(weight / mean if mean > 0 else weight).float()


def cross_entropy(
    logits: torch.Tensor, label: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross-entropy of logits (V, K) against labels (V,) with class weights (K,), a scalar.

    Labels of -1 are ignored; if all are -1, the loss is 0.
    """
    if not bool((label >= 0).any()):
        return logits.sum() * 0.0
    return F.cross_entropy(logits, label, weight=weight, ignore_index=-1)


def weight_of(label: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """What the cross-entropy of labels (V,) is the mean over: the sum of their weights."""
    known = label[label >= 0]
    return known.new_tensor(len(known)) if weight is None else weight[known].sum()
