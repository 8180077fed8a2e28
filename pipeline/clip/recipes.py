"""Dense reading of a tower: one embedding for each patch, in the space of the texts.

A recipe says what the last block of a ViT becomes; every patch then goes through the tower's head.
x is the input (B, prefix + h w, width) of the last block, class token first if there is one; q, k,
v are those of its attention, in heads; s = head_dim^-1/2. Towers of convolutions are read as they
are, which is `plain`.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.clip.scclip import scclip
from pipeline.clip.towers import Tower, Vit
from pipeline.clip.towers.trunk import Trunk

Recipe = Callable[[Trunk], Tensor]

_NEIGHBOURHOOD = 5.0  # patches: the standard deviation of naclip's Gaussian


def plain(trunk: Trunk) -> Tensor:
    """The last block as it was trained."""
    return trunk.last(trunk.before_last())


def value(trunk: Trunk) -> Tensor:
    """out(v): every patch attends to itself alone; no residual, no MLP.

    Zhou et al., "Extract Free Dense Labels from CLIP" (MaskCLIP), ECCV 2022.
    """
    _, _, v = trunk.last.qkv(trunk.before_last())
    return trunk.last.out(v)


def clearclip(trunk: Trunk) -> Tensor:
    """out(softmax(s q q^T) v); no residual, no MLP.

    Lan et al., "ClearCLIP: Decomposing CLIP Representations for Dense Vision-Language Inference",
    ECCV 2024.
    """
    q, _, v = trunk.last.qkv(trunk.before_last())
    return trunk.last.out(F.scaled_dot_product_attention(q, q, v))


def sclip(trunk: Trunk) -> Tensor:
    """x + out((softmax(s q q^T) + softmax(s k k^T)) v), then the MLP as it was trained.

    Wang et al., "SCLIP: Rethinking Self-Attention for Dense Vision-Language Inference", ECCV 2024.
    """
    x = trunk.before_last()
    q, k, v = trunk.last.qkv(x)
    mixed = [F.scaled_dot_product_attention(same, same, v) for same in (q, k)]
    x = x + trunk.last.out(mixed[0] + mixed[1])
    return x + trunk.last.mlp(x)


def naclip(trunk: Trunk) -> Tensor:
    """out(softmax(s k k^T + G) v) with G(i, j) = exp(-|p_i - p_j|^2 / (2 std^2)).

    p are patch positions, std is 5 patches, G is 0 where the class token is involved; no residual,
    no MLP. Hajimiri et al., "Pay Attention to Your Neighbours", WACV 2025.
    """
    _, k, v = trunk.last.qkv(trunk.before_last())
    near = _nearness(trunk.grid, trunk.prefix, k.device).to(k.dtype)
    return trunk.last.out(F.scaled_dot_product_attention(k, k, v, attn_mask=near))


RECIPES: dict[str, Recipe] = {
    "plain": plain,
    "value": value,
    "clearclip": clearclip,
    "sclip": sclip,
    "naclip": naclip,
    "scclip": scclip,
}


def obstacle(tower: Tower, recipe: Recipe) -> str | None:
    """Why the tower cannot be read by the recipe, in a few words; None if it can."""
    if recipe is plain:
        return None
    if not isinstance(tower, Vit):
        return "its image tower has no attention between patches"
    if not tower.comes_apart:
        return "its blocks are of a kind that is read as a whole only"
    if recipe is scclip and not tower.has_class_token:
        return "its image tower has no class token"
    return None


def dense(tower: Tower, images: Tensor, recipe: Recipe) -> Tensor:
    """L2-normalised patch embeddings (B, h, w, d) f32 of normalised images (B, 3, h p, w p)."""
    if not isinstance(tower, Vit):
        return F.normalize(tower.cells(images).float(), dim=-1)
    tokens, grid = read_tokens(tower, images, recipe)
    return F.normalize(tokens[:, -grid[0] * grid[1] :].float(), dim=-1).unflatten(1, grid)


def read_tokens(tower: Vit, images: Tensor, recipe: Recipe) -> tuple[Tensor, tuple[int, int]]:
    """The tokens (B, L, d) that a recipe gives, patches last, not normalised; the grid (h, w)."""
    x, grid, blocks = tower.tokens(images)
    return tower.head(recipe(Trunk(x, grid, blocks, tower.prefix))), grid


def _nearness(grid: tuple[int, int], prefix: int, device: torch.device) -> Tensor:
    """G of `naclip` (prefix + h w, prefix + h w), one Gaussian for rows times one for columns."""
    places = [torch.arange(n, device=device) for n in grid]
    rows, columns = (
        torch.exp(-(p[:, None] - p).square() / (2 * _NEIGHBOURHOOD**2)) for p in places
    )
    return F.pad(torch.kron(rows, columns), (prefix, 0, prefix, 0))
