"""open_clip's own ViT: OpenAI, LAION, MetaCLIP, DFN, CLIPA, CoCa."""

from typing import Any

import torch
from open_clip.transformer import AttentionalPooler, ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.clip.tower import split_heads, unknown


def view(visual: nn.Module) -> "OpenClipVit | str":
    """The view of an image tower, or in a few words why it cannot be read densely."""
    if not isinstance(visual, VisionTransformer):
        return unknown(visual)
    if visual.attn_pool is not None and visual.attn_pool_contrastive is not None:
        return "its image tower pools twice by attention"
    return OpenClipVit(visual)


class OpenClipBlock:
    """A `ResidualAttentionBlock` of open_clip, or another block that is only called as a whole."""

    def __init__(self, block: Any) -> None:
        self._block = block

    def __call__(self, x: Tensor) -> Tensor:
        return self._block(x)

    def qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        attn = self._block.attn
        joint = F.linear(self._block.ln_1(x), attn.in_proj_weight, attn.in_proj_bias)
        q, k, v = (split_heads(part, attn.num_heads) for part in joint.chunk(3, dim=-1))
        return q, k, v

    def out(self, mixed: Tensor) -> Tensor:
        return self._block.ls_1(self._block.attn.out_proj(mixed.transpose(1, 2).flatten(2)))

    def mlp(self, x: Tensor) -> Tensor:
        return self._block.ls_2(self._block.mlp(self._block.ln_2(x)))


class OpenClipVit:
    """The view of a `VisionTransformer` of open_clip."""

    prefix = 1  # the class token
    has_class_token = True

    def __init__(self, visual: VisionTransformer) -> None:
        self._visual = visual
        self.patch: tuple[int, int] = visual.patch_size
        self.comes_apart = all(
            isinstance(block, ResidualAttentionBlock) for block in visual.transformer.resblocks
        )

    def tokens(self, images: Tensor) -> tuple[Tensor, tuple[int, int], list[OpenClipBlock]]:
        """The first block's input (B, 1 + h w, width), the grid (h, w), and the blocks."""
        visual = self._visual
        x = visual.conv1(images).float()  # the residual stream stays fp32 under autocast
        grid = (x.shape[2], x.shape[3])
        x = x.flatten(2).transpose(1, 2)
        cls = visual.class_embedding.expand(len(x), 1, -1)
        x = visual.ln_pre(torch.cat([cls, x], dim=1) + position_embedding(visual, grid))
        return x, grid, [OpenClipBlock(block) for block in visual.transformer.resblocks]

    def head(self, x: Tensor) -> Tensor:
        """Embeddings (B, L, d) of the last block's output, each token pooled as if alone.

        Without attention pooling, the tower's own embedding of the image is the first of them
        (pool_type tok) or the mean of the others (avg, unless ln_post comes after pooling).
        """
        visual = self._visual
        if visual.attn_pool is not None:
            x = _pool_alone(visual.attn_pool, x)
        return visual.ln_post(x) @ visual.proj


def position_embedding(visual: VisionTransformer, grid: tuple[int, int]) -> Tensor:
    """The tower's position embedding (1 + h w, width), resized bicubically for another grid."""
    native = visual.positional_embedding
    if grid == visual.grid_size:
        return native
    patches = native[1:].unflatten(0, visual.grid_size).permute(2, 0, 1)[None]
    resized = F.interpolate(patches, grid, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([native[:1], resized[0].flatten(1).T])


def _pool_alone(pool: AttentionalPooler, x: Tensor) -> Tensor:
    """Attention over one token is that token's value, whatever the query."""
    attn = pool.attn
    weight = attn.v_proj_weight if attn.in_proj_weight is None else attn.in_proj_weight.chunk(3)[2]
    return attn.out_proj(F.linear(pool.ln_k(x), weight, attn.in_proj_bias.chunk(3)[2]))
