"""The sparse network has the published sizes, and computes what a dense one computes."""

from collections.abc import Iterable, Iterator
from typing import cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.data.dataset import batch_indices
from model.network.sparse import sparse_tensor
from model.network.unet import Down, MinkUNet, ResidualBlock, Up

GRID = 16


@pytest.mark.parametrize(("arch", "millions"), [("14A", 8.10), ("18A", 15.57), ("34C", 37.93)])
def test_known_architectures_have_their_number_of_parameters(arch: str, millions: float) -> None:
    network = MinkUNet(3, 768, arch)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)


def test_the_sizes_of_an_architecture_can_be_replaced() -> None:
    network = MinkUNet(3, 5, "18A", [8, 8, 8, 8, 8, 8, 8, 24], [1] * 8, 16, 3)
    assert network.head.in_features == 24
    assert network.stem.weight.shape == (16, 3, 3, 3, 3)
    with pytest.raises(ValueError, match="8 stages"):
        MinkUNet(3, 5, planes=[8, 8])


def test_a_head_has_hidden_layers_of_the_widths_that_are_asked_for() -> None:
    plain, deep = MinkUNet(3, 5, "14A"), MinkUNet(3, 5, "14A", head=[64, 24])
    assert [type(layer) for layer in deep.hidden] == [nn.Linear, nn.BatchNorm1d, nn.ReLU] * 2
    shapes = [tuple(p.shape) for p in deep.hidden.parameters() if p.ndim == 2]
    assert shapes == [(64, 96), (24, 64)]
    assert deep.head.weight.shape == (5, 24)
    assert plain.head.weight.shape == (5, 96)
    added = deep.state_dict().keys() - plain.state_dict().keys()
    assert added
    assert all(name.startswith("hidden.") for name in added)


def some_voxels(seed: int) -> list[np.ndarray]:
    """Two scans of another extent, about a third of the grid full, in no order."""
    rng = np.random.default_rng(seed)
    full = rng.random((2, GRID, GRID, GRID)) < 0.3
    full[1, 9:] = False
    return [rng.permutation(np.argwhere(part)).astype(np.int32) for part in full]


class DenseTwin:
    """The same weights in dense convolutions, with 0 at all cells without a voxel."""

    def __init__(self, network: MinkUNet, indices: Tensor) -> None:
        self.network = network
        mask = torch.zeros(2, 1, GRID, GRID, GRID)
        mask[indices[:, 0], 0, indices[:, 1], indices[:, 2], indices[:, 3]] = 1
        self.masks = [mask]
        for _ in range(4):
            self.masks.append(F.max_pool3d(self.masks[-1], 2))

    def norm(self, x: Tensor, norm: nn.Module, mask: Tensor) -> Tensor:
        """A layer on the vectors of the active voxels only."""
        last = x.movedim(1, -1)
        active = mask[:, 0] > 0
        values = norm(last[active])
        out = torch.zeros(*last.shape[:-1], values.shape[-1])
        out[active] = values
        return out.movedim(-1, 1)

    def conv(self, x: Tensor, weight: Tensor, mask: Tensor, stride: int = 1) -> Tensor:
        kernel = weight.permute(0, 4, 1, 2, 3)  # spconv keeps (out, x, y, z, in)
        padding = 0 if stride == 2 else weight.shape[1] // 2
        return F.conv3d(x, kernel, stride=stride, padding=padding) * mask

    def block(self, x: Tensor, block: ResidualBlock, mask: Tensor) -> Tensor:
        y = self.norm(self.conv(x, block.conv1.weight, mask), block.norm1, mask).relu()
        y = self.norm(self.conv(y, block.conv2.weight, mask), block.norm2, mask)
        return (y + self.norm(x, block.shortcut, mask)).relu()

    def down(self, x: Tensor, down: Down, level: int) -> Tensor:
        mask = self.masks[level]
        x = self.norm(self.conv(x, down.conv.weight, mask, stride=2), down.norm, mask).relu()
        for block in cast(Iterable[ResidualBlock], down.blocks):
            x = self.block(x, block, mask)
        return x

    def up(self, x: Tensor, skip: Tensor, up: Up, level: int) -> Tensor:
        mask = self.masks[level]
        kernel = up.conv.weight.permute(4, 0, 1, 2, 3)
        x = F.conv_transpose3d(x, kernel, stride=2) * mask
        x = torch.cat([self.norm(x, up.norm, mask).relu(), skip], dim=1)
        for block in cast(Iterable[ResidualBlock], up.blocks):
            x = self.block(x, block, mask)
        return x

    def __call__(self, features: Tensor, indices: Tensor) -> Tensor:
        at = tuple(indices.long().T)
        x = torch.zeros(2, GRID, GRID, GRID, features.shape[1])
        x[at] = features
        network, mask = self.network, self.masks[0]
        x = self.conv(x.movedim(-1, 1), network.stem.weight, mask)
        skips = [self.norm(x, network.stem_norm, mask).relu()]
        for level, down in enumerate(cast(Iterable[Down], network.down), start=1):
            skips.append(self.down(skips[-1], down, level))
        x = skips.pop()
        for level, up in zip((3, 2, 1, 0), cast(Iterable[Up], network.up), strict=True):
            x = self.up(x, skips.pop(), up, level)
        return network.head(network.hidden(x.movedim(1, -1)[at]))


def gradients_of(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the gradient of every parameter, by name; fails where there is none."""
    found = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert not [name for name, gradient in found.items() if gradient is None]
    return {name: gradient.clone() for name, gradient in found.items() if gradient is not None}


@pytest.fixture
def _double() -> Iterator[None]:
    """Compute in float64, so that a comparison can be tight."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize(("stem_kernel", "head"), [(3, []), (5, []), (3, [12, 10])])
def test_outputs_and_gradients_are_those_of_a_dense_network(
    stem_kernel: int, head: list[int]
) -> None:
    torch.manual_seed(0)
    planes, layers = [8, 8, 12, 8, 8, 12, 8, 8], [1, 2, 1, 1, 1, 1, 1, 1]
    network = MinkUNet(3, 6, "18A", planes, layers, 8, stem_kernel, head).train()
    indices = batch_indices(some_voxels(1))
    colors, wanted = torch.randn(len(indices), 3), torch.randn(len(indices), 6)

    sparse = network(colors, indices)
    (sparse * wanted).sum().backward()
    gradients = gradients_of(network)
    network.zero_grad()
    dense = DenseTwin(network, indices)(colors, indices)
    (dense * wanted).sum().backward()

    assert len(indices) > 1500
    assert sparse.std() > 0.1
    torch.testing.assert_close(sparse, dense, atol=1e-9, rtol=0)
    for name, gradient in gradients_of(network).items():
        scale = float(gradient.abs().max())
        assert scale > 0, name
        torch.testing.assert_close(gradients[name], gradient, atol=1e-8 * scale, rtol=0)


def test_scans_of_a_batch_do_not_affect_each_other() -> None:
    torch.manual_seed(0)
    network = MinkUNet(3, 4, "14A", [8] * 8, None, 8, 3).eval()
    voxels = some_voxels(2)
    colors = [torch.randn(len(part), 3) for part in voxels]
    together = network(torch.cat(colors), batch_indices(voxels))
    alone = [network(c, batch_indices([v])) for c, v in zip(colors, voxels, strict=True)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-4)


def test_an_empty_batch_and_a_negative_coordinate_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one voxel"):
        sparse_tensor(torch.zeros(0, 3), torch.zeros(0, 4, dtype=torch.int32))
    with pytest.raises(ValueError, match="negative"):
        sparse_tensor(torch.zeros(1, 3), torch.tensor([[0, 1, -1, 0]], dtype=torch.int32))
