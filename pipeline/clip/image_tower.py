"""Loading the image tower of an open_clip model, without its text tower."""

from dataclasses import dataclass
from types import ModuleType

import torch
from open_clip.model import _build_vision_tower
from safetensors import safe_open
from torch import nn

from pipeline.clip.models import configuration, other_weights, statistics, weights_file
from pipeline.clip.tower import Tower
from pipeline.errors import BadInput


@dataclass(frozen=True)
class ImageTower:
    """An image tower, frozen, on the accelerator if there is one."""

    view: Tower
    mean: list[float]  # of RGB in [0, 1], as the tower was trained
    std: list[float]
    half: torch.dtype  # of matrix products on an accelerator
    device: torch.device


def skeleton(model: str, family: ModuleType) -> tuple[Tower, int]:
    """The tower without its weights, and the width d of its embeddings.

    `family` is the model's module of `pipeline.clip.towers`. All that depends on the model alone is
    known before anything is fetched. Raises `BadInput` for a model that open_clip does not know and
    for a tower that cannot be read densely. A family that is not open_clip's has its own `skeleton`
    and `load`, which take a model.
    """
    if own := getattr(family, "skeleton", None):
        return own(model)
    with torch.device("meta"):
        visual = _build(model)
    view = family.view(visual)
    if isinstance(view, str):
        raise BadInput(model, f"cannot be read densely: {view}", "take a ViT or a ConvNeXt")
    return view, configuration(model)["embed_dim"]


def load_image_tower(model: str, pretrained: str | None, family: ModuleType) -> ImageTower:
    """The image tower of `model` with weights `pretrained` (see `weights.py`).

    `family` is as for `skeleton`. Raises `BadInput` as `skeleton` does, and for a tag whose
    activation differs from the model's, weights that are absent and cannot be fetched, pickled
    weights and those of another model.
    """
    if own := getattr(family, "load", None):
        return own(model)
    skeleton(model, family)
    path = weights_file(model, pretrained)
    visual = _build(model)
    try:
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.startswith("visual.")]  # noqa: SIM118
            tensors = {name.removeprefix("visual."): file.get_tensor(name) for name in names}
        visual.load_state_dict(tensors)
    except Exception as error:  # many kinds, safetensors' own among them
        raise other_weights(model, path, error) from error
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    view = family.view(visual.eval().requires_grad_(False).to(device))
    assert not isinstance(view, str)
    # OpenAI trained in fp16. Others trained in bf16 or with care, and some overflow fp16's range.
    half = torch.float16 if pretrained == "openai" else torch.bfloat16
    mean, std = statistics(model, pretrained)
    return ImageTower(view, mean, std, half, device)


def _build(model: str) -> nn.Module:
    """The tower with random weights; raises `BadInput` where open_clip cannot build it."""
    config = configuration(model)
    vision = config["vision_cfg"] | {"timm_model_pretrained": False}
    try:
        return _build_vision_tower(config["embed_dim"], vision, config["quick_gelu"])
    except Exception as error:  # many kinds: timm's unknown models, settings that do not fit
        what = f"has an image tower that cannot be built ({error})".replace("\n", " ")
        raise BadInput(model, what, "restore its configuration") from error
