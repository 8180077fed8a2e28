"""Dense reading of a native ViT tower: one embedding for each patch, in the space of the texts.

A recipe says what the last block becomes; every patch then goes through `ln_post` and `proj` as the
pooled token does in the tower's own forward pass. x is the input (B, 1 + h w, width) of the last
block, CLS first; q, k, v are those of its attention after ln_1, in heads; s = head_dim^-1/2.
"""

from collections.abc import Callable

import torch
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor
from torch.nn import functional as F

Recipe = Callable[[ResidualAttentionBlock, Tensor, tuple[int, int]], Tensor]

_NEIGHBOURHOOD = 5.0  # patches: the standard deviation of naclip's Gaussian


def plain(block: ResidualAttentionBlock, x: Tensor, grid: tuple[int, int]) -> Tensor:
    """The block as it was trained."""
    return block(x)


def value(block: ResidualAttentionBlock, x: Tensor, grid: tuple[int, int]) -> Tensor:
    """out_proj(v): every patch attends to itself alone; no residual, no MLP.

    Zhou et al., "Extract Free Dense Labels from CLIP" (MaskCLIP), ECCV 2022.
    """
    return block.ls_1(block.attn.out_proj(_project(block, x, 2)))


def naclip(block: ResidualAttentionBlock, x: Tensor, grid: tuple[int, int]) -> Tensor:
    """out_proj(softmax(s k k^T + G) v) with G(i, j) = exp(-|p_i - p_j|^2 / (2 std^2)).

    p are patch positions, std is 5 patches, G is 0 where CLS is involved; no residual, no MLP.
    Hajimiri et al., "Pay Attention to Your Neighbours", WACV 2025.
    """
    heads = block.attn.num_heads
    k, v = (_project(block, x, part).unflatten(-1, (heads, -1)).transpose(1, 2) for part in (1, 2))
    near = _nearness(grid, k.device).to(k.dtype)
    attended = F.scaled_dot_product_attention(k, k, v, attn_mask=near)
    return block.ls_1(block.attn.out_proj(attended.transpose(1, 2).flatten(2)))


RECIPES: dict[str, Recipe] = {"plain": plain, "value": value, "naclip": naclip}


def can_read(visual: VisionTransformer, recipe: Recipe) -> bool:
    """Whether the tower's last block is of the kind that the recipe takes apart."""
    last = visual.transformer.resblocks[-1]
    return recipe is plain or isinstance(last, ResidualAttentionBlock)


def dense(visual: VisionTransformer, images: Tensor, recipe: Recipe) -> Tensor:
    """L2-normalised patch embeddings (B, h, w, d) f32 of normalised images (B, 3, h p, w p)."""
    tokens, grid = read_tokens(visual, images, recipe)
    return F.normalize(tokens[:, 1:].float(), dim=-1).unflatten(1, grid)


def read_tokens(
    visual: VisionTransformer, images: Tensor, recipe: Recipe
) -> tuple[Tensor, tuple[int, int]]:
    """All tokens (B, 1 + h w, d), CLS first, not normalised, and the grid (h, w).

    With `plain`, the tower's own embedding of the image is the first of them (pool_type tok) or the
    mean of the others (avg). Only a tower that applies ln_post after pooling (final_ln_after_pool)
    differs: here each patch is read as a pool of one.
    """
    x = visual.conv1(images).float()  # the residual stream stays fp32 under autocast
    grid = (x.shape[2], x.shape[3])
    x = x.flatten(2).transpose(1, 2)
    cls = visual.class_embedding.expand(len(x), 1, -1)
    x = visual.ln_pre(torch.cat([cls, x], dim=1) + position_embedding(visual, grid))
    *blocks, last = visual.transformer.resblocks
    for block in blocks:
        x = block(x)
    return visual.ln_post(recipe(last, x, grid)) @ visual.proj, grid


def position_embedding(visual: VisionTransformer, grid: tuple[int, int]) -> Tensor:
    """The tower's position embedding (1 + h w, width), resized bicubically for another grid."""
    native = visual.positional_embedding
    if grid == visual.grid_size:
        return native
    patches = native[1:].unflatten(0, visual.grid_size).permute(2, 0, 1)[None]
    resized = F.interpolate(patches, grid, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([native[:1], resized[0].flatten(1).T])


def _project(block: ResidualAttentionBlock, x: Tensor, part: int) -> Tensor:
    """One of q, k, v (part 0, 1, 2) of a block's attention, (B, L, width)."""
    weight = block.attn.in_proj_weight.chunk(3)[part]
    bias = block.attn.in_proj_bias.chunk(3)[part]
    return F.linear(block.ln_1(x), weight, bias)


def _nearness(grid: tuple[int, int], device: torch.device) -> Tensor:
    """G of `naclip` (1 + h w, 1 + h w), a product of one Gaussian for rows and one for columns."""
    places = [torch.arange(n, device=device) for n in grid]
    rows, columns = (
        torch.exp(-(p[:, None] - p).square() / (2 * _NEIGHBOURHOOD**2)) for p in places
    )
    return F.pad(torch.kron(rows, columns), (1, 0, 1, 0))
