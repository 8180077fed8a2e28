"""timm's ViT and EVA as open_clip uses them: SigLIP, SigLIP2, PE-Core, EVA-CLIP, ViTamin, ..."""

from typing import Any

import torch
from timm.layers.attention import Attention, AttentionRope
from timm.layers.format import Format
from timm.layers.pos_embed_sincos import apply_rot_embed_cat
from timm.models.eva import Eva, EvaAttention, EvaBlock
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.clip.tower import split_heads, timm_obstacle


def view(visual: nn.Module) -> "TimmVit | str":
    """The view of an image tower, or in a few words why it cannot be read densely."""
    return timm_obstacle(visual, VisionTransformer, Eva) or TimmVit(visual)


class TimmBlock:
    """A block of timm's ViT or EVA, with the grid's rotary embedding if the tower has one."""

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
        q, k, v = (split_heads(part, attn.num_heads) for part in joint)
        return self._rotate(attn.q_norm(q)).to(v), self._rotate(attn.k_norm(k)).to(v), v

    def _rotate(self, x: Tensor) -> Tensor:
        """Rotary embedding of the patches; prefix tokens have no position to rotate by."""
        if self._rope is None:
            return x
        attn = self._block.attn
        prefix, patches = x.tensor_split([attn.num_prefix_tokens], dim=2)
        rotated = apply_rot_embed_cat(patches, self._rope, half=attn.rotate_half)
        return torch.cat([prefix, rotated.to(prefix)], dim=2)

    def out(self, mixed: Tensor) -> Tensor:
        attn = self._block.attn
        added = attn.proj(attn.norm(mixed.transpose(1, 2).flatten(2)))
        return self._scale(added, "1")

    def mlp(self, x: Tensor) -> Tensor:
        return self._scale(self._block.mlp(self._block.norm2(x)), "2")

    def _scale(self, x: Tensor, part: str) -> Tensor:
        """Layer scale, a module in timm's ViT and a parameter or None in EVA."""
        if isinstance(self._block, Block):
            return getattr(self._block, f"ls{part}")(x)
        gamma = getattr(self._block, f"gamma_{part}")
        return x if gamma is None else gamma * x


class TimmVit:
    """The view of a `TimmModel` whose trunk is a ViT; the trunk then takes images of any size."""

    def __init__(self, visual: Any) -> None:
        trunk = visual.trunk
        self._trunk, self._projection = trunk, visual.head
        _free_image_size(trunk)
        self.patch: tuple[int, int] = trunk.patch_embed.feat_ratio(as_scalar=False)
        self.prefix: int = trunk.num_prefix_tokens
        self.has_class_token = trunk.cls_token is not None
        self.comes_apart = all(_comes_apart(block) for block in trunk.blocks)

    def tokens(self, images: Tensor) -> tuple[Tensor, tuple[int, int], list[TimmBlock]]:
        """The first block's input (B, prefix + h w, width), the grid (h, w), and the blocks."""
        trunk = self._trunk
        x = trunk.patch_embed(images)
        grid = (x.shape[1], x.shape[2])
        placed = trunk._pos_embed(x)
        x, rope = placed if isinstance(placed, tuple) else (placed, None)  # EVA gives both
        x = trunk.norm_pre(x.float())  # the residual stream stays fp32 under autocast
        return x, grid, [TimmBlock(block, rope) for block in trunk.blocks]

    def head(self, x: Tensor) -> Tensor:
        """Embeddings (B, L, d) of the last block's output, each token pooled as if alone.

        Pooling by class token or average leaves a lone token as it is. Attention pooling gives its
        value, whatever the query: with V the second half of kv, y = proj(V x), y + MLP(norm(y)).
        """
        trunk = self._trunk
        x, pool = trunk.norm(x), trunk.attn_pool
        if pool is not None:
            y = pool.proj(pool.kv(x).chunk(2, dim=-1)[1])
            x = y if pool.mlp is None else y + pool.mlp(pool.norm(y))
        return self._projection(trunk.head(trunk.fc_norm(x)))


def _free_image_size(trunk: Any) -> None:
    """What timm does for `dynamic_img_size`, which open_clip does not hand through."""
    trunk.dynamic_img_size = True
    trunk.patch_embed.strict_img_size = trunk.patch_embed.flatten = False
    trunk.patch_embed.output_fmt = Format.NHWC
    if getattr(trunk, "rope", None) is not None:
        trunk.rope._use_cached_embed = False


def _comes_apart(block: nn.Module) -> bool:
    """Whether `TimmBlock` knows the parts of a block."""
    if not isinstance(block, Block | EvaBlock):
        return False
    attn: Any = block.attn
    known = isinstance(attn, Attention | AttentionRope | EvaAttention)
    return known and attn.gate is None and getattr(attn, "num_kv_groups", 1) == 1
