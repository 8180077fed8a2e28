"""The recipe `naclip`: attention by the likeness of keys, and by nearness in the image.

Hajimiri et al., "Pay Attention to Your Neighbours", WACV 2025.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.clip.inputs import Inputs, Needs

NEEDS = Needs(blocks=True)

_NEIGHBOURHOOD = 5.0  # patches: the standard deviation of the Gaussian


def read(inputs: Inputs) -> Tensor:
    """out(softmax(s k k^T + G) v) with G(i, j) = exp(-|p_i - p_j|^2 / (2 std^2)).

    p are patch positions, std is 5 patches, G is 0 where the class token is involved; no residual,
    no MLP. All tokens, (B, prefix + h w, width).
    """
    _, k, v = inputs.last.qkv(inputs.before_last())
    near = _nearness(inputs.grid, inputs.prefix, k.device).to(k.dtype)
    return inputs.last.out(F.scaled_dot_product_attention(k, k, v, attn_mask=near))


def _nearness(grid: tuple[int, int], prefix: int, device: torch.device) -> Tensor:
    """G (prefix + h w, prefix + h w), one Gaussian for rows times one for columns."""
    places = [torch.arange(n, device=device) for n in grid]
    rows, columns = (
        torch.exp(-(p[:, None] - p).square() / (2 * _NEIGHBOURHOOD**2)) for p in places
    )
    return F.pad(torch.kron(rows, columns), (prefix, 0, prefix, 0))
