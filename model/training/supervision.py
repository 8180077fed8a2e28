"""What the loss terms of weakly supervised training compare predicted embeddings with."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F

from model.training import rows


def weighted_mean(values: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
    """The mean of values (V,) by weights (V,), equal ones if None; 0 where all weights are 0."""
    if weight is None:
        return values.mean()
    return (weight * values).sum() / weight.sum().clamp_min(1e-12)


def distance(unit: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - cos (n,) of embeddings (n, d) of unit length and targets (n, d) of any length and type.

    0 has no direction: it is at a distance of 1 from everything.
    """
    target = target.float()
    return 1 - (unit * target).sum(dim=1) / target.norm(dim=1).clamp_min(1e-12)


def group_means(values: torch.Tensor, group: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Means (S, C) of values (V, C) over groups (V,), in 0..S-1, of some sizes (S,)."""
    total = values.new_zeros(len(size), values.shape[1])
    return total.index_add(0, group, values) / size[:, None]


@dataclass(frozen=True)
class Supervision:
    """What is known of the V voxels of a batch of B scans, and of K classes, on one device."""

    # (V, d) fused 2D embeddings, specialised in ESS variants; fp16 or float32
    target: torch.Tensor | rows.Lazy
    label: torch.Tensor  # (V,) int64 pseudo-labels, -1 = none
    text: torch.Tensor  # (K, d) float32 text embeddings of unit length
    temperature: float  # of similarities to the text
    class_weight: torch.Tensor | None = None  # (K,) float32 with `balance`, else None
    scan: torch.Tensor | None = None  # (V,) int64 in 0..B-1
    superpoint: torch.Tensor | None = None  # (V,) int64, -1 = none; None: nobody has one
    present: torch.Tensor | None = None  # (B, K) bool, the tags of each scan
    probability: torch.Tensor | None = None  # (V, K) of soft labels; None without them
    mask_absent: bool = False  # whether only classes among the tags compete in a softmax

    @property
    def voxel_weight(self) -> torch.Tensor | None:
        """The weight (V,) of each voxel's pseudo-label, 1 without one; None without `balance`."""
        if self.class_weight is None:
            return None
        return torch.cat([self.class_weight, self.class_weight.new_ones(1)])[self.label]

    @property
    def voxels(self) -> torch.Tensor | float:
        """How many voxels there are, by the weights of their pseudo-labels with `balance`."""
        weight = self.voxel_weight
        return float(len(self.label)) if weight is None else weight.sum()

    @property
    def present_of_voxel(self) -> torch.Tensor:
        """Whether each class is among the tags of a voxel's scan: (V, K) bool."""
        assert self.present is not None
        assert self.scan is not None
        return self.present[self.scan]

    @cached_property
    def groups(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The group (V,) of each voxel, in 0..S-1, and the sizes (S,) of groups.

        A group is the voxels of a superpoint, or one voxel that has none.
        """
        count = len(self.label)
        each = torch.arange(count, device=self.label.device)
        own = each if self.superpoint is None else self.superpoint
        # Numbers below 0 are unique for voxels without a superpoint.
        name = torch.where(own >= 0, own, -1 - each)
        _, group, size = torch.unique(name, return_inverse=True, return_counts=True)
        return group, size

    def pooled(self, values: torch.Tensor) -> torch.Tensor:
        """Means (S, C) of values (V, C) float32 over the groups."""
        return group_means(values, *self.groups)

    @cached_property
    def pooled_target(self) -> torch.Tensor:
        """Means (S, d) float32 over the groups of targets at unit length."""
        group, size = self.groups
        target = rows.lazy(self.target)
        total = self.text.new_zeros(len(size), target.width)
        with torch.no_grad():
            for at in rows.slices(target):
                total.index_add_(0, group[at], F.normalize(target[at].float(), dim=1))
        return total / size[:, None]
