"""The recipe `scclip`: outliers repaired, and similar patches averaged.

Bai et al., "Self-Calibrated CLIP for Training-Free Open-Vocabulary Segmentation", 2024. Blocks are
numbered as in a tower of 12 and scaled for other depths; F_n is the output of block n. The class
token takes no part in the last block's attention.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.clip.inputs import Inputs, Needs

NEEDS = Needs(blocks=True, class_token=True)

_BEFORE, _AFTER, _SUMMED = 9, 4, (4, 10)  # of 12 blocks
_SIMILAR = 0.4  # cosine from which patches are averaged
_SHARPNESS = 3.0  # of the attention by similarity
_CLASS_SHARE = 0.3  # of the class token that is added to every patch
_NEIGHBOURS, _OUTLIERS = 30, 0.05


def read(inputs: Inputs) -> Tensor:
    """Patches (B, h w, width), by the formulas of the paper.

    x = F_11, repaired: M = cos(F_9, F_9), repaired in the same places; x <- [M >= 0.4] M x with
    rows that sum to 1; x <- N (out(A v) + 0.3 CLS) with A = 1/2 (softmax(3 (M - mean M), negatives
    left out) + softmax(s k k^T)) and N like [M >= 0.4] M, but of F_4. The sum of F_4 to F_10 takes
    the same last two steps, and both streams are added.
    """
    outputs, p = [inputs.x, *inputs.outputs()], inputs.prefix  # index = block number
    before_last, depth = outputs[-1], len(inputs.blocks)
    broken = outliers(before_last[:, p:])
    like = _likeness(repair(outputs[block_number(_BEFORE, depth)][:, p:], broken, inputs.grid))
    patches = _averaging(like) @ repair(before_last[:, p:], broken, inputs.grid)
    first, last = (block_number(number, depth) for number in _SUMMED)
    streams = [
        _attend(inputs, torch.cat([before_last[:, :p], patches], dim=1), like),
        _attend(inputs, torch.stack(outputs[first : last + 1]).sum(0), like),
    ]
    after = _averaging(_likeness(outputs[block_number(_AFTER, depth)][:, p:]))
    return after @ (streams[0] + streams[1])


def outliers(x: Tensor) -> Tensor:
    """Outliers among points (B, L, width): bool (B, L), 5 % of the L points of each image.

    By the local outlier factor over 30 neighbours: Breunig et al., "LOF: Identifying Density-Based
    Local Outliers", SIGMOD 2000.
    """
    count = min(_NEIGHBOURS, x.shape[1] - 1)
    if count < 1:
        return torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
    itself = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
    distance, nearest = (
        torch.cdist(x.float(), x.float())
        .masked_fill(itself, torch.inf)
        .topk(count, dim=-1, largest=False)
    )
    farthest = distance[..., -1]
    reach = torch.maximum(distance, _of_neighbours(farthest, nearest))
    density = 1 / reach.mean(-1).clamp(min=1e-12)  # patches of one colour can be identical
    factor = _of_neighbours(density, nearest).mean(-1) / density
    return factor > factor.quantile(1 - _OUTLIERS, dim=-1, keepdim=True)


def repair(x: Tensor, broken: Tensor, grid: tuple[int, int]) -> Tensor:
    """The patches (B, h w, width), the broken ones (B, h w) as the mean of the others in 3 x 3.

    A broken patch among broken ones stays as it is.
    """
    whole = (~broken).to(x).unflatten(1, (1, *grid))
    maps = x.transpose(1, 2).unflatten(2, grid)
    total, share = (F.avg_pool2d(m, 3, stride=1, padding=1) for m in (maps * whole, whole))
    mean = (total / share.clamp(min=0.1)).flatten(2).transpose(1, 2)  # at least 1/9, or 0
    return torch.where((broken & (share.flatten(1) > 0))[..., None], mean, x)


def _of_neighbours(x: Tensor, nearest: Tensor) -> Tensor:
    """x (B, L) of each point's neighbours, (B, L, k)."""
    return x[:, None].expand(-1, x.shape[1], -1).gather(2, nearest)


def _likeness(x: Tensor) -> Tensor:
    """Cosines (B, L, L), in full precision because they are compared with a threshold."""
    with torch.autocast(x.device.type, enabled=False):
        x = F.normalize(x.float(), dim=-1)
        return x @ x.transpose(1, 2)


def _averaging(like: Tensor) -> Tensor:
    """Weights (B, L, L) of similar patches; each row sums to 1."""
    similar = like.where(like >= _SIMILAR, 0)
    return similar / similar.sum(-1, keepdim=True)


def _attend(inputs: Inputs, x: Tensor, like: Tensor) -> Tensor:
    """out(A v) + 0.3 CLS of a stream (B, prefix + h w, width): patches (B, h w, width)."""
    _, k, v = (part[:, :, inputs.prefix :] for part in inputs.last.qkv(x))
    above = _SHARPNESS * (like - like.mean((1, 2), keepdim=True))
    attention = above.masked_fill(above < 0, -torch.inf).softmax(-1)[:, None].to(v)
    mixed = (attention @ v + F.scaled_dot_product_attention(k, k, v)) / 2
    return inputs.last.out(mixed) + _CLASS_SHARE * x[:, :1]


def block_number(number: int, depth: int) -> int:
    """The block before the last one of `depth` that corresponds to block `number` of 12."""
    return min(max(1, int(number * depth / 12 + 0.5)), depth - 1)
