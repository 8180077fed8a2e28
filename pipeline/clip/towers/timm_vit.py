"""timm's ViT and EVA as open_clip uses them: SigLIP, SigLIP2, PE-Core, EVA-CLIP, ViTamin, ..."""

from typing import Any

from open_clip.timm_model import TimmModel
from timm.layers.format import Format
from torch import Tensor

from pipeline.clip.towers.blocks import TimmBlock, comes_apart


class TimmVit:
    """The view of a `TimmModel` whose trunk is a ViT; the trunk then takes images of any size."""

    def __init__(self, visual: TimmModel) -> None:
        trunk: Any = visual.trunk
        self._trunk, self._projection = trunk, visual.head
        _free_image_size(trunk)
        self.patch: tuple[int, int] = trunk.patch_embed.feat_ratio(as_scalar=False)
        self.prefix: int = trunk.num_prefix_tokens
        self.has_class_token = trunk.cls_token is not None
        self.comes_apart = all(comes_apart(block) for block in trunk.blocks)

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
