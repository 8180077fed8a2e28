"""The image tower of TIPSv2, through timm (`vit_large_patch14_reg1_tipsv2` and its sisters).

Images are in [0, 1] as they are. Its embeddings are the tokens of the last block, normalised: no
pooling and no projection lie between patches and texts.
"""

from types import SimpleNamespace
from typing import Any

import timm
import torch
from safetensors import safe_open
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from pipeline.clip import tipsv2
from pipeline.clip.fetch import first_line
from pipeline.clip.image_tower import ImageTower
from pipeline.clip.models import other_weights, weights_file
from pipeline.clip.towers.timm_vit import TimmBlock, TimmVit
from pipeline.errors import BadInput

_TOWER = "vision_encoder."  # before the names of its weights


def skeleton(model: str) -> "tuple[TipsVit, int]":
    """The tower without its weights, and the width of its embeddings; see `image_tower`."""
    with torch.device("meta"):
        trunk = build(model)
    return TipsVit(trunk), trunk.embed_dim


def load(model: str) -> ImageTower:
    """The tower with its weights; see `image_tower`."""
    trunk, path = build(model), weights_file(model, None)
    try:
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.startswith(_TOWER)]  # noqa: SIM118
            tensors = {_released(name): file.get_tensor(name) for name in names}
        trunk.load_state_dict(checkpoint_filter_fn(tensors, trunk))
    except Exception as error:  # many kinds, safetensors' own among them
        raise other_weights(model, path, error) from error
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    whole = trunk.eval().requires_grad_(False).to(device)
    return ImageTower(TipsVit(whole), [0.0] * 3, [1.0] * 3, torch.bfloat16, device)


def build(model: str) -> VisionTransformer:
    """The tower with random weights; raises `BadInput` where it cannot be built."""
    vision = tipsv2.configuration(model).vision_config
    name = "vit_giant" if vision.use_swiglu_ffn else "vit_base"
    try:
        made = timm.create_model(
            f"{name}_patch14_reg1_tipsv2",
            pretrained=False,
            img_size=vision.image_size,
            patch_size=vision.patch_size,
            embed_dim=vision.hidden_size,
            depth=vision.num_hidden_layers,
            num_heads=vision.num_attention_heads,
            mlp_ratio=_hidden(vision) / vision.hidden_size,
            init_values=vision.layerscale_value,
            reg_tokens=vision.num_register_tokens,
        )
    except Exception as error:  # many kinds: settings that do not fit
        what = f"has an image tower that cannot be built ({first_line(error)})"
        raise BadInput(model, what, "restore its configuration") from error
    assert isinstance(made, VisionTransformer)
    return made


def _hidden(vision: Any) -> int:
    """The width of an MLP as timm counts it: of SwiGLU, both halves together."""
    wide = int(vision.hidden_size * vision.mlp_ratio)
    return 2 * (8 * -(-int(wide * 2 / 3) // 8)) if vision.use_swiglu_ffn else wide


class TipsVit(TimmVit):
    """The view of the tower: a class token and registers, then the patches."""

    def __init__(self, trunk: VisionTransformer) -> None:
        super().__init__(SimpleNamespace(trunk=trunk, head=nn.Identity()))

    def tokens(self, images: Tensor) -> tuple[Tensor, tuple[int, int], list[TimmBlock]]:
        """The first block's input (B, prefix + h w, width), the grid (h, w), and the blocks.

        The release resizes position embeddings bilinearly where timm would do it bicubically.
        """
        trunk: Any = self._trunk
        x = trunk.patch_embed(images)
        grid, place = (x.shape[1], x.shape[2]), trunk.pos_embed
        if grid != trunk.patch_embed.grid_size:
            place = resample_abs_pos_embed(
                place, list(grid), num_prefix_tokens=0, interpolation="bilinear"
            )
        before = [part.expand(len(x), -1, -1) for part in (trunk.cls_token, trunk.reg_token)]
        x = torch.cat([*before, x.flatten(1, 2) + place], dim=1)
        x = trunk.norm_pre(x.float())  # the residual stream stays fp32 under autocast
        return x, grid, [TimmBlock(block, None) for block in trunk.blocks]


def _released(name: str) -> str:
    """A name in the file as the release has it; transformers writes some of another."""
    return name.replace(".mlp.c_fc.", ".mlp.fc1.").replace(".mlp.c_proj.", ".mlp.fc2.")
