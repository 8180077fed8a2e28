"""What the 3D network is asked for: embeddings like the 2D ones, and (a switch) like the text's."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray


@dataclass(frozen=True)
class LossConfig:
    """The paper's loss, and two switches."""

    balance: bool = False  # weigh each voxel by 1/sqrt(n) of its pseudo-label
    text: float = 0.0  # weight of the cross-entropy of text similarities, where ESS takes part
    temperature: float = 0.05  # of those similarities


def class_weights(counts: NDArray[np.int64]) -> torch.Tensor:
    """1/sqrt(n) for each class (K,), 0 where n = 0, scaled so that a voxel's mean weight is 1."""
    counts = counts.astype(np.float64)
    weight = np.divide(1.0, np.sqrt(counts), where=counts > 0, out=np.zeros_like(counts))
    mean = (weight * counts).sum() / max(counts.sum(), 1.0)
    return torch.from_numpy(weight / mean if mean > 0 else weight).float()


def cosine_loss(
    embedding: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean over voxels of 1 - cos(embedding, target), both (V, d); weighted where asked (V,).

    3DSS-VLG (Xu et al., ECCV 2024), soft guidance stage.
    """
    distance = 1 - F.cosine_similarity(embedding.float(), target.float(), dim=1)
    if weight is None:
        return distance.mean()
    return (weight * distance).sum() / weight.sum().clamp_min(1e-12)


def text_similarity(
    embedding: torch.Tensor, text: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Cosine of embeddings (V, d) with text embeddings (K, d) of unit length, over temperature."""
    return F.normalize(embedding.float(), dim=1) @ text.T / temperature


def label_loss(
    logits: torch.Tensor, label: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross-entropy of logits (V, K) against labels (V,) with class weights (K,).

    Labels of -1 are ignored; where all are, the loss is 0.
    """
    if not bool((label >= 0).any()):
        return logits.sum() * 0.0
    return F.cross_entropy(logits, label, weight=weight, ignore_index=-1)


class GuidanceLoss:
    """The loss of the soft guidance stage for one run."""

    def __init__(self, config: LossConfig, text: torch.Tensor, counts: NDArray[np.int64]) -> None:
        """`text` (K, d) of unit length, `counts` (K,) of the pseudo-labels."""
        self.config, self.text = config, text
        self.weight = class_weights(counts).to(text.device) if config.balance else None

    def __call__(
        self, embedding: torch.Tensor, target: torch.Tensor, label: torch.Tensor
    ) -> torch.Tensor:
        """Predicted embeddings (V, d) against 2D embeddings (V, d) and pseudo-labels (V,)."""
        weight = None
        if self.weight is not None:  # a voxel without pseudo-label (-1) gets the mean weight
            weight = torch.cat([self.weight, self.weight.new_ones(1)])[label]
        loss = cosine_loss(embedding, target, weight)
        if self.config.text > 0:
            logits = text_similarity(embedding, self.text, self.config.temperature)
            loss = loss + self.config.text * label_loss(logits, label, self.weight)
        return loss
