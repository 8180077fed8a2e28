"""MinkUNet (Choy et al., "4D Spatio-Temporal ConvNets", CVPR 2019) in spconv."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from model.network.sparse import ALGORITHM, sparse_tensor, spconv

_LEVELS = 4


@dataclass(frozen=True)
class Architecture:
    """Widths and depths of a MinkUNet: four encoder stages, then four decoder stages."""

    planes: tuple[int, ...]  # 8 widths
    layers: tuple[int, ...]  # 8 numbers of residual blocks
    stem_width: int = 32
    stem_kernel: int = 5

    def __post_init__(self) -> None:
        if len(self.planes) != 2 * _LEVELS or len(self.layers) != 2 * _LEVELS:
            raise ValueError("a MinkUNet has 8 stages: give 8 planes and 8 layers")


_PLANES_A = (32, 64, 128, 256, 128, 128, 96, 96)
_PLANES_C = (32, 64, 128, 256, 256, 128, 96, 96)

ARCHITECTURES = {
    "14A": Architecture(_PLANES_A, (1,) * 8),
    "18A": Architecture(_PLANES_A, (2,) * 8),
    "34C": Architecture(_PLANES_C, (2, 3, 4, 6, 2, 2, 2, 2)),
}


def _norm(width: int) -> nn.BatchNorm1d:
    # A large eps avoids NaN in fp16 training. The momentum averages the statistics of a few dozen
    # batches: single scans differ much, and a small run has a few hundred steps.
    return nn.BatchNorm1d(width, eps=1e-3, momentum=0.05)


def _hidden(width_in: int, widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise([width_in, *widths]):
        layers += [nn.Linear(a, b, bias=False), _norm(b), nn.ReLU()]
    return nn.Sequential(*layers)


def _submanifold(width_in: int, width_out: int, kernel: int, key: str) -> spconv.SubMConv3d:
    return spconv.SubMConv3d(
        width_in, width_out, kernel, bias=False, indice_key=key, algo=ALGORITHM
    )


class ResidualBlock(nn.Module):
    """Two 3^3 submanifold convolutions and a shortcut, linear where the width changes."""

    def __init__(self, width_in: int, width_out: int, level: int) -> None:
        super().__init__()
        key = f"submanifold_{level}"
        self.conv1 = _submanifold(width_in, width_out, 3, key)
        self.norm1 = _norm(width_out)
        self.conv2 = _submanifold(width_out, width_out, 3, key)
        self.norm2 = _norm(width_out)
        self.shortcut: nn.Module = nn.Identity()
        if width_in != width_out:
            linear = nn.Linear(width_in, width_out, bias=False)
            self.shortcut = nn.Sequential(linear, _norm(width_out))

    def forward(self, x: spconv.SparseConvTensor) -> spconv.SparseConvTensor:
        """Same voxels in and out, width `width_in` to `width_out`."""
        y = self.conv1(x)
        y = y.replace_feature(torch.relu(self.norm1(y.features)))
        y = self.conv2(y)
        return y.replace_feature(torch.relu(self.norm2(y.features) + self.shortcut(x.features)))


def _blocks(width_in: int, width_out: int, count: int, level: int) -> nn.Sequential:
    widths = [width_in] + [width_out] * count
    return nn.Sequential(*(ResidualBlock(a, b, level) for a, b in pairwise(widths)))


class Down(nn.Module):
    """Halve the resolution at the same width, then residual blocks."""

    def __init__(self, width_in: int, width_out: int, count: int, level: int) -> None:
        super().__init__()
        key = f"down_{level}"
        self.conv = spconv.SparseConv3d(
            width_in, width_in, 2, 2, bias=False, indice_key=key, algo=ALGORITHM
        )
        self.norm = _norm(width_in)
        self.blocks = _blocks(width_in, width_out, count, level)

    def forward(self, x: spconv.SparseConvTensor) -> spconv.SparseConvTensor:
        """Level `level` - 1 in, `level` out."""
        x = self.conv(x)
        return self.blocks(x.replace_feature(torch.relu(self.norm(x.features))))


class Up(nn.Module):
    """Back to the voxels of a finer level, concatenated with the encoder's output there."""

    def __init__(
        self, width_in: int, width_skip: int, width_out: int, count: int, level: int
    ) -> None:
        super().__init__()
        self.conv = spconv.SparseInverseConv3d(
            width_in, width_out, 2, bias=False, indice_key=f"down_{level + 1}", algo=ALGORITHM
        )
        self.norm = _norm(width_out)
        self.blocks = _blocks(width_out + width_skip, width_out, count, level)

    def forward(
        self, x: spconv.SparseConvTensor, skip: spconv.SparseConvTensor
    ) -> spconv.SparseConvTensor:
        """Level `level` + 1 in, `level` out; `skip` is the encoder's output there."""
        x = self.conv(x)
        joined = torch.cat([torch.relu(self.norm(x.features)), skip.features], dim=1)
        return self.blocks(x.replace_feature(joined))


class MinkUNet(nn.Module):
    """A sparse U-Net with `out_channels` outputs for each voxel."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        arch: str = "18A",
        planes: Sequence[int] | None = None,
        layers: Sequence[int] | None = None,
        stem_width: int | None = None,
        stem_kernel: int | None = None,
        head: Sequence[int] = (),
    ) -> None:
        """Build `arch` (14A, 18A or 34C), with any of its sizes replaced.

        `head` are the widths of hidden layers, each with norm and ReLU, between the last stage and
        the linear layer that gives the outputs. Raises `KeyError` for an unknown `arch` and
        `ValueError` unless there are 8 stages.
        """
        super().__init__()
        known = ARCHITECTURES[arch]
        shape = Architecture(
            tuple(planes or known.planes),
            tuple(layers or known.layers),
            stem_width or known.stem_width,
            stem_kernel or known.stem_kernel,
        )
        width = shape.stem_width
        # Layers with one key share their neighbour table, which must be of one kernel size.
        key = "submanifold_0" if shape.stem_kernel == 3 else "stem"
        self.stem = _submanifold(in_channels, width, shape.stem_kernel, key)
        self.stem_norm = _norm(width)

        encoder = zip(shape.planes[:_LEVELS], shape.layers[:_LEVELS], strict=True)
        decoder = zip(shape.planes[_LEVELS:], shape.layers[_LEVELS:], strict=True)
        skips = [width]
        down, up = [], []
        for level, (plane, count) in enumerate(encoder, start=1):
            down.append(Down(width, plane, count, level))
            width = plane
            skips.append(width)
        for level, (plane, count) in zip(reversed(range(_LEVELS)), decoder, strict=True):
            up.append(Up(width, skips[level], plane, count, level))
            width = plane
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)
        self.hidden = _hidden(width, head)
        self.head = nn.Linear(head[-1] if head else width, out_channels)

    def forward(self, features: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """Features (M, in) at indices (M, 4) int32 [scan, x, y, z] -> (M, out), in that order."""
        return self.head(self.trunk(features, indices))

    def trunk(self, features: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """All layers but the last: (M, in) -> (M, last width).

        Only the output of the last is wide: of large scans it can be computed in pieces. Hidden
        layers of the head belong to the trunk, so that their norms see every voxel in training,
        as in inference, and not the supervised ones only.
        """
        x = self.stem(sparse_tensor(features, indices))
        x = x.replace_feature(torch.relu(self.stem_norm(x.features)))
        skips = [x]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = skips.pop()
        for up in self.up:
            x = up(x, skips.pop())
        return self.hidden(x.features)
