"""A transformer block, whole or taken apart, alike for open_clip and timm.

x is (B, L, width). Taken apart, the block is x <- x + out(A v), x <- x + MLP(x); each head has
A = softmax(s q k^T) and s = head_dim^-1/2; recipes put another A, or leave a part out.
"""

from typing import Any, Protocol

import torch
from open_clip.transformer import ResidualAttentionBlock
from timm.layers.attention import Attention, AttentionRope
from timm.layers.pos_embed_sincos import apply_rot_embed_cat
from timm.models.eva import EvaAttention, EvaBlock
from timm.models.vision_transformer import Block as TimmViTBlock
from torch import Tensor, nn
from torch.nn import functional as F


class Block(Protocol):
    """What recipes see."""

    def __call__(self, x: Tensor) -> Tensor:
        """The block as it was trained."""

    def qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q, k and v, each (B, heads, L, head_dim), as the block's own attention compares them."""

    def out(self, mixed: Tensor) -> Tensor:
        """What attention adds to x, (B, L, width), for A v = `mixed` (B, heads, L, head_dim)."""

    def mlp(self, x: Tensor) -> Tensor:
        """What the MLP adds to x."""


class NativeBlock:
    """A `ResidualAttentionBlock` of open_clip."""

    def __init__(self, block: Any) -> None:
        self._block = block

    def __call__(self, x: Tensor) -> Tensor:
        return self._block(x)

    def qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        attn = self._block.attn
        joint = F.linear(self._block.ln_1(x), attn.in_proj_weight, attn.in_proj_bias)
        q, k, v = (_heads(part, attn.num_heads) for part in joint.chunk(3, dim=-1))
        return q, k, v

    def out(self, mixed: Tensor) -> Tensor:
        return self._block.ls_1(self._block.attn.out_proj(mixed.transpose(1, 2).flatten(2)))

    def mlp(self, x: Tensor) -> Tensor:
        return self._block.ls_2(self._block.mlp(self._block.ln_2(x)))


class TimmBlock:
    """A block of timm's ViT or EVA, with the rotary embedding of the grid at hand if it has one."""

    def __init__(self, block: Any, rope: Tensor | None) -> None:
        self._block, self._rope = block, rope

    def __call__(self, x: Tensor) -> Tensor:
        return self._block(x) if self._rope is None else self._block(x, rope=self._rope)

    def qkv(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        attn, x = self._block.attn, self._block.norm1(x)
        if attn.qkv is None:
            joint = [project(x) for project in (attn.q_proj, attn.k_proj, attn.v_proj)]
        else:
            bias = attn.qkv.bias
            if getattr(attn, "q_bias", None) is not None:  # EVA: k has none
                bias = torch.cat([attn.q_bias, attn.k_bias, attn.v_bias])
            joint = list(F.linear(x, attn.qkv.weight, bias).chunk(3, dim=-1))
        q, k, v = (_heads(part, attn.num_heads) for part in joint)
        return self._turn(attn.q_norm(q)).to(v), self._turn(attn.k_norm(k)).to(v), v

    def _turn(self, x: Tensor) -> Tensor:
        """Rotary embedding of the patches; prefix tokens have no place to be turned to."""
        if self._rope is None:
            return x
        attn = self._block.attn
        prefix, patches = x.tensor_split([attn.num_prefix_tokens], dim=2)
        turned = apply_rot_embed_cat(patches, self._rope, half=attn.rotate_half)
        return torch.cat([prefix, turned.to(prefix)], dim=2)

    def out(self, mixed: Tensor) -> Tensor:
        attn = self._block.attn
        added = attn.proj(attn.norm(mixed.transpose(1, 2).flatten(2)))
        return self._scale(added, "1")

    def mlp(self, x: Tensor) -> Tensor:
        return self._scale(self._block.mlp(self._block.norm2(x)), "2")

    def _scale(self, x: Tensor, part: str) -> Tensor:
        """Layer scale, a module in timm's ViT and a parameter or None in EVA."""
        if isinstance(self._block, TimmViTBlock):
            return getattr(self._block, f"ls{part}")(x)
        gamma = getattr(self._block, f"gamma_{part}")
        return x if gamma is None else gamma * x


def comes_apart(block: nn.Module) -> bool:
    """Whether a block is of a kind that `NativeBlock` or `TimmBlock` can take apart."""
    if isinstance(block, TimmViTBlock | EvaBlock):
        attn: Any = block.attn
        known = isinstance(attn, Attention | AttentionRope | EvaAttention)
        return known and attn.gate is None and getattr(attn, "num_kv_groups", 1) == 1
    return isinstance(block, ResidualAttentionBlock)


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)
