"""Small image towers of every family that open_clip knows, with random weights."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import open_clip
import pytest
import timm
from timm.models.convnext import _create_convnext
from timm.models.eva import _create_eva
from timm.models.fastvit import _create_fastvit
from timm.models.vision_transformer import _create_vision_transformer
from timm.models.vitamin import VitCfg, VitConvCfg, _create_vitamin
from torch import nn

from pipeline.clip.tower import Tower
from pipeline.clip.towers import open_clip_resnet, open_clip_vit, timm_convnet, timm_vit
from tests.helpers import tiny_clip

VIT: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 3, "num_heads": 4}
ROPE: dict[str, Any] = {"use_rot_pos_emb": True, "ref_feat_shape": (4, 4)}
GLU: dict[str, Any] = {
    "swiglu_mlp": True,
    "scale_mlp": True,
    "scale_attn_inner": True,
    "mlp_ratio": 2,
}
STEM = VitCfg(
    embed_dim=(8, 16, 32),
    depths=(1, 1, 1),
    stem_width=8,
    conv_cfg=VitConvCfg(norm_layer="layernorm2d", norm_eps=1e-6),
    head_type="1d",
)
PE: dict[str, Any] = {
    "attn_type": "rope",
    "use_pre_transformer_norm": True,
    "rope_grid_indexing": "xy",
}
MAP: dict[str, Any] = {"global_pool": "map"}
HYBRID: dict[str, Any] = {
    "img_size": 64,
    "embed_dim": 32,
    "depth": 3,
    "num_heads": 4,
    "embed_cfg": STEM,
}
MAKERS: dict[str, Any] = {
    "tiny_siglip": partial(_create_vision_transformer, **VIT, **MAP, class_token=False),
    "tiny_vit": partial(_create_vision_transformer, **VIT, init_values=0.3, qk_norm=True),
    "tiny_pe": partial(_create_eva, **VIT, **MAP, **ROPE, **PE, attn_pool_num_heads=4),
    "tiny_eva01": partial(_create_eva, **VIT, init_values=0.3),
    "tiny_eva02": partial(_create_eva, **VIT, **ROPE, **GLU, qkv_fused=False),
    "tiny_eva02_e": partial(_create_eva, **VIT, use_post_norm=True),
    "tiny_vitamin": partial(_create_vitamin, **HYBRID, class_token=False, global_pool="avg"),
    "tiny_convnext": partial(_create_convnext, depths=(1, 1, 1, 1), dims=(8, 16, 24, 32)),
    "tiny_fastvit": partial(_create_fastvit, layers=(1, 1, 1, 1), embed_dims=(32, 32, 64, 64)),
}


def _register(name: str) -> None:
    def make(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        return MAKERS[name](name, pretrained=pretrained, **kwargs)

    make.__name__ = name
    timm.models.register_model(make)


for _name in MAKERS:
    _register(_name)


def timm_cfg(name: str, pool: str, proj: str | None = None, size: int = 32) -> dict[str, Any]:
    """A timm tower as open_clip's configurations describe them."""
    return {"timm_model_name": name, "timm_pool": pool, "timm_proj": proj, "image_size": size}


# Small towers by the models that have such a tower.
VITS: dict[str, dict[str, Any]] = {
    "OpenAI": {},
    "the demo": {"pool_type": "avg", "ls_init_value": 0.1},
    "CLIPA": {"pool_type": "avg", "final_ln_after_pool": True, "no_ln_pre": True},
    "CoCa": {"attentional_pool": True, "attn_pooler_heads": 4},
    "SigLIP": timm_cfg("tiny_siglip", "map", "none"),
    "MobileCLIP-B": timm_cfg("tiny_vit", "token"),
    "PE-Core": timm_cfg("tiny_pe", "map"),
    "EVA01": timm_cfg("tiny_eva01", "token"),
    "EVA02": timm_cfg("tiny_eva02", "token"),
    "EVA02-E": timm_cfg("tiny_eva02_e", "token"),
    "ViTamin": timm_cfg("tiny_vitamin", "", "linear", 64),
}
MAPS: dict[str, dict[str, Any]] = {
    "ConvNeXt": timm_cfg("tiny_convnext", "", "linear"),
    "ConvNeXt-L-d": timm_cfg("tiny_convnext", "", "mlp"),
    "MobileCLIP-S": timm_cfg("tiny_fastvit", "avg"),
    "RN50": {"layers": [1, 1, 1, 1], "width": 8, "head_width": 16, "image_size": 64},
}
FAMILIES = VITS | MAPS


def build(family: str, seed: int = 0) -> open_clip.CLIP:
    """A model of the family, every parameter off its initial value."""
    return tiny_clip.build(seed, embed_dim=width(family), **FAMILIES[family])


def module(family: str) -> ModuleType:
    """The module of `pipeline.clip.towers` for the family."""
    if family in ("ConvNeXt", "ConvNeXt-L-d", "MobileCLIP-S"):
        return timm_convnet
    if family == "RN50":
        return open_clip_resnet
    return timm_vit if "timm_model_name" in FAMILIES[family] else open_clip_vit


def view(family: str, seed: int = 0, device: str = "cpu") -> Any:
    """The view of the image tower of such a model: a `pipeline.clip.tower.Tower`."""
    made: Tower | str = module(family).view(build(family, seed).visual.to(device))
    assert not isinstance(made, str)
    return made


def width(family: str) -> int:
    """Of its embeddings."""
    return 32 if family == "SigLIP" else 24


def write_tokenizer(folder: Path, words: Sequence[str]) -> None:
    """Write a tokenizer of whole words as Hugging Face's hub has them."""
    tokenizers = pytest.importorskip("tokenizers")
    known = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", *words])}
    own = tokenizers.Tokenizer(tokenizers.models.WordLevel(known, unk_token="<unk>"))
    own.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    own.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    own.save(str(folder / "tokenizer.json"))
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(kind))
