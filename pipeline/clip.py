"""open_clip models: the one place that loads them, as an image tower or as a text tower."""

import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.transformer import VisionTransformer

from pipeline.errors import BadInput
from pipeline.weights import CHECKOUT, WEIGHTS, config_file, local_file, local_folder, merges_file

_SECONDS_TO_ANSWER = 10


@dataclass(frozen=True)
class ImageTower:
    """A native ViT of open_clip, frozen, on the accelerator if there is one."""

    visual: VisionTransformer
    mean: tuple[float, float, float]  # of RGB in [0, 1], as the tower was trained
    std: tuple[float, float, float]
    device: torch.device


class TextTower:
    """A text encoder with its tokenizer."""

    def __init__(self, model: Any, tokenizer: Any, device: torch.device) -> None:
        self._model, self._tokenizer, self._device = model, tokenizer, device

    @property
    def logit_scale(self) -> float:
        """The inverse temperature that the towers were trained with."""
        return float(self._model.logit_scale.exp())

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """L2-normalised embeddings (len(texts), d) of texts, cut off at the tower's context."""
        batches = [texts[i : i + 256] for i in range(0, len(texts), 256)]
        tokens = [self._tokenizer(list(batch)).to(self._device) for batch in batches]
        embedded = [self._model.encode_text(batch, normalize=True) for batch in tokens]
        return torch.cat(embedded).float().cpu().numpy()


def load_image_tower(model: str, pretrained: str | None) -> ImageTower:
    """The image tower of `model` with weights `pretrained` (see `weights.py`).

    Raises `BadInput` for a tower that cannot be read densely yet, a tag whose activation differs
    from the model's, weights that are absent and cannot be fetched, and pickled weights.
    """
    whole, device = _load(model, pretrained)
    visual = whole.visual  # the text tower is let go
    cfg = visual.preprocess_cfg
    return ImageTower(visual, tuple(cfg["mean"]), tuple(cfg["std"]), device)


def load_text_tower(model: str, pretrained: str | None) -> TextTower:
    """The text tower of the same model; raises as `load_image_tower` does."""
    whole, device = _load(model, pretrained)
    folder = local_folder(model)
    merges = merges_file(folder) if folder else None
    tokenizer = open_clip.get_tokenizer(
        _name(model), **({"bpe_path": str(merges)} if merges else {})
    )
    return TextTower(whole, tokenizer, device)


def _load(model: str, pretrained: str | None) -> tuple[Any, torch.device]:
    _refuse_unknown_towers(model)
    tag = {} if local_folder(model) else open_clip.get_pretrained_cfg(model, pretrained or "")
    _refuse_other_activation(model, pretrained, tag)
    path = local_file(model, pretrained) or _tagged_file(model, pretrained, tag)
    statistics = {key: tag[key] for key in ("mean", "std") if key in tag}
    try:
        loaded = open_clip.create_model(
            _name(model),
            None if local_folder(model) else str(path),
            force_preprocess_cfg=statistics,
        )
    except Exception as error:  # many kinds, assertions and safetensors' own among them
        what = f"does not hold the weights of {model} ({_first_line(error)})"
        raise BadInput(path, what, "fetch it again or name the model that it belongs to") from error
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return loaded.eval().requires_grad_(False).to(device), device


def _name(model: str) -> str:
    folder = local_folder(model)
    return f"local-dir:{folder}" if folder else model


def _refuse_unknown_towers(model: str) -> None:
    folder = local_folder(model)
    if folder:
        config_file(folder)
    try:
        config = open_clip.get_model_config(_name(model)) if folder or ":" not in model else None
        if config is None:
            remedy = "take one of open_clip.list_models() or local-dir:<folder>"
            raise BadInput(model, "is no model of open_clip", remedy)
        vision, text = config["vision_cfg"], config["text_cfg"]
    except (ValueError, KeyError) as error:
        remedy = "restore its open_clip_config.json"
        raise BadInput(model, "has no configuration that open_clip reads", remedy) from error
    reason = (
        "its image tower is from timm"
        if vision.get("timm_model_name")
        else "its image tower is a ResNet"
        if isinstance(vision.get("layers"), list)
        else "its image tower pools by attention"
        if vision.get("attentional_pool")
        else "its text tower needs the package transformers"
        if text.get("hf_model_name") or text.get("hf_tokenizer_name")
        else None
    )
    if reason:
        raise BadInput(
            model,
            f"cannot be read densely yet: {reason}",
            "take a native ViT such as ViT-B-16-quickgelu with `pretrained: openai`",
        )


def _refuse_other_activation(model: str, pretrained: str | None, tag: dict[str, Any]) -> None:
    """QuickGELU weights load into a GELU model without complaint, and embed badly."""
    if tag and bool(tag.get("quick_gelu")) != bool(
        open_clip.get_model_config(model).get("quick_gelu")
    ):
        what = f"the weights `{pretrained}` were trained with QuickGELU and this model has GELU"
        raise BadInput(model, what, f"write `model: {model}-quickgelu`")


def _tagged_file(model: str, pretrained: str | None, tag: dict[str, Any]) -> Path:
    """The safetensors file of a tag: laid by hand, from Hugging Face's cache, or downloaded."""
    if not tag:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(model)) or "none"
        what = f"`{pretrained}` is neither a tag of this model nor a .safetensors file"
        raise BadInput(model, what, f"its tags are: {known}")
    by_hand = CHECKOUT / "data" / "weights" / f"{model}.{pretrained}.safetensors"
    if by_hand.is_file():
        return by_hand
    repo = tag["hf_hub"].rstrip("/")
    cached = huggingface_hub.try_to_load_from_cache(repo, WEIGHTS)
    if isinstance(cached, str):
        return Path(cached)
    url = huggingface_hub.hf_hub_url(repo, WEIGHTS)
    try:
        if _is_there(url):
            return Path(huggingface_hub.hf_hub_download(repo, WEIGHTS))
    except Exception as error:  # many kinds, from several network packages
        what = (
            f"its weights `{pretrained}` are not here and cannot be fetched ({_first_line(error)})"
        )
        raise BadInput(model, what, f"download {url} elsewhere and save it as {by_hand}") from error
    what = f"{repo} offers its weights `{pretrained}` only as a pickle, which can run any code"
    raise BadInput(model, what, f"convert it on a machine that trusts it and save it as {by_hand}")


def _is_there(url: str) -> bool:
    """Ask once, and fail soon without a network: the hub's own client tries for minutes."""
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        raise OSError("HF_HUB_OFFLINE is set")
    try:
        request = urllib.request.Request(url, method="HEAD")
        urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER).close()
    except urllib.error.HTTPError as error:
        return error.code != 404  # what another answer means is the client's to say
    return True


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
