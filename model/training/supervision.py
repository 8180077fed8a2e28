"""What the loss terms of weakly supervised training compare predicted embeddings with."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Supervision:
    """What is known of the V voxels of a batch, and of the K classes. All is on one device."""

    target: torch.Tensor  # (V, d) fused 2D embeddings, specialised in ESS variants; fp16 or float32
    label: torch.Tensor  # (V,) int64 pseudo-labels, -1 = none
    text: torch.Tensor  # (K, d) float32 text embeddings of unit length
    temperature: float  # of similarities to the text
    class_weight: torch.Tensor | None = None  # (K,) float32 with `balance`, else None

    @property
    def voxel_weight(self) -> torch.Tensor | None:
        """The weight (V,) of each voxel's pseudo-label, 1 without one; None without `balance`."""
        if self.class_weight is None:
            return None
        return torch.cat([self.class_weight, self.class_weight.new_ones(1)])[self.label]
