"""Small CLIP models with random weights, in memory or as the folders that `local-dir:` names."""

import gzip
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file

from pipeline.clip import families, recipes
from pipeline.clip.embedder import Embedder
from pipeline.clip.image_tower import ImageTower, load_image_tower
from pipeline.clip.towers import open_clip_vit
from pipeline.stages.parts import load_parts

MERGES = ["c h", "ch a", "cha i", "chai r</w>", "t a", "b l", "ta bl", "tabl e</w>"]
VOCABULARY = 2 * 256 + len(MERGES) + 2
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
RECIPES = {name: import_module(recipes.module_name(name)) for name in recipes.names()}


def model_cfg(embed_dim: int = 24, **vision: Any) -> dict[str, Any]:
    """A ViT of 32 px, patch 8, width 32, 3 layers and 4 heads, but for `vision`."""
    tower = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 3, "head_width": 8}
    text = {"context_length": 12, "vocab_size": VOCABULARY, "width": 16, "heads": 2, "layers": 1}
    return {"embed_dim": embed_dim, "vision_cfg": tower | vision, "text_cfg": text}


def build(seed: int = 0, **vision: Any) -> open_clip.CLIP:
    """The model with random weights, every parameter off its initial value (0 or 1 for some)."""
    torch.manual_seed(seed)
    model = open_clip.CLIP(**model_cfg(**vision))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return model.eval().requires_grad_(False)


def write(folder: Path, seed: int = 0, **vision: Any) -> str:
    """Write such a model with its own tokenizer; the name to give as `model`."""
    folder.mkdir(parents=True, exist_ok=True)
    cfg = model_cfg(**vision)
    cfg["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": "merges.txt.gz"}
    config = {"model_cfg": cfg, "preprocess_cfg": {"mean": MEAN, "std": STD}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    merges = "\n".join(["#version: 0.2", *MERGES]).encode()
    (folder / "merges.txt.gz").write_bytes(gzip.compress(merges, mtime=0))  # equal bytes each time
    weights = {k: v.contiguous() for k, v in build(seed, **vision).state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


def view(seed: int = 0, **vision: Any) -> open_clip_vit.OpenClipVit:
    """The view of such a model's image tower."""
    made = open_clip_vit.view(build(seed, **vision).visual)
    assert not isinstance(made, str)
    return made


def family(model: str) -> ModuleType:
    """The module for the image tower of a model, named as in a config."""
    return import_module(families.module_name(model))


def load(model: str, pretrained: str | None) -> ImageTower:
    """The image tower of a model, named as in a config."""
    return load_image_tower(model, pretrained, family(model))


def embedder(params: Mapping[str, Any]) -> Embedder:
    """What embeds by these parameters of the stage `embeddings`."""
    return Embedder(params, load_parts("embeddings", {"embeddings": params}))
