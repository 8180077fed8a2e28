"""Batch norms with the statistics of the parts of a batch that other processes have."""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn


class _Total(torch.autograd.Function):
    """The sum over all processes, of values as of gradients."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        """The values of all."""
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> torch.Tensor:
        """The gradients of all, since what one has changes the statistics of all."""
        gradient = gradients[0].clone()
        dist.all_reduce(gradient)
        return gradient


class SharedNorm(nn.BatchNorm1d):
    """What `nn.SyncBatchNorm`, which needs a GPU, is there: on a CPU, of voxels (M, C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Norm the voxels (M, C), M >= 0, of this process by the statistics of all processes'."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        sums = _Total.apply(torch.cat([x.sum(0), x.new_tensor([len(x)])]))
        voxels = sums[-1].detach()
        mean = sums[:-1] / voxels
        variance = _Total.apply((x - mean).square().sum(0)) / voxels
        with torch.no_grad():
            self.num_batches_tracked += 1
            unbiased = variance * (voxels / (voxels - 1).clamp_min(1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        return (x - mean) * torch.rsqrt(variance + self.eps) * self.weight + self.bias


def share_statistics(network: nn.Module, where: torch.device) -> None:
    """Give all batch norms of a network the statistics of all processes; its weights stay."""
    if where.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return
    for norm in network.modules():
        if type(norm) is nn.BatchNorm1d:
            norm.__class__ = SharedNorm
