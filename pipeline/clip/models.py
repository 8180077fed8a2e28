"""open_clip models: their configurations and weights, and the text tower.

The image tower, which is another matter, is loaded by `towers/load.py`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray

from pipeline.clip.fetch import first_line, hub_tokenizer, tagged_file
from pipeline.clip.weights import config_file, local_file, local_folder, merges_file
from pipeline.errors import BadInput


class TextTower:
    """A text encoder with its tokenizer."""

    def __init__(self, model: Any, tokenizer: Any, device: torch.device) -> None:
        self._model, self._device = model, device
        self.tokenizer = tokenizer

    @property
    def logit_scale(self) -> float:
        """The inverse temperature that the towers were trained with."""
        return float(self._model.logit_scale.exp())

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """L2-normalised embeddings (len(texts), d) of texts, cut off at the tower's context."""
        batches = [texts[i : i + 256] for i in range(0, len(texts), 256)]
        tokens = [self.tokenizer(list(batch)).to(self._device) for batch in batches]
        embedded = [self._model.encode_text(batch, normalize=True) for batch in tokens]
        return torch.cat(embedded).float().cpu().numpy()


def load_text_tower(model: str, pretrained: str | None) -> TextTower:
    """The text tower of `model` with weights `pretrained` (see `weights.py`).

    Raises `BadInput` for a model that open_clip does not know, a text tower from transformers, a
    tag whose activation differs from the model's, weights or tokenizers that are absent and cannot
    be fetched, and pickled weights.
    """
    folder, text = local_folder(model), configuration(model)["text_cfg"]
    if text.get("hf_model_name"):
        what = "its text tower is one of the package transformers, which this project does not load"
        raise BadInput(model, what, "take a model with a text tower of open_clip's own")
    path = weights_file(model, pretrained)
    if text.get("hf_tokenizer_name"):
        tokenizer: Any = hub_tokenizer(model, text)
    else:
        merges = merges_file(folder) if folder else None
        try:
            tokenizer = open_clip.get_tokenizer(
                _name(model), **({"bpe_path": str(merges)} if merges else {})
            )
        except Exception as error:  # many kinds
            what = f"is no tokenizer that can be read ({first_line(error)})"
            raise BadInput(merges or model, what, "fetch its files again") from error
    try:
        whole = open_clip.create_model(_name(model), None if folder else str(path))
    except Exception as error:  # many kinds, assertions and safetensors' own among them
        raise other_weights(model, path, error) from error
    if not all(bool(torch.isfinite(weights).all()) for weights in whole.parameters()):
        raise other_weights(model, path, ValueError("they have numbers that are not finite"))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return TextTower(whole.eval().requires_grad_(False).to(device), tokenizer, device)


def configuration(model: str) -> dict[str, Any]:
    """open_clip's description of a model; raises `BadInput` where there is none."""
    folder = local_folder(model)
    if folder:
        config_file(folder)
    try:
        config = open_clip.get_model_config(_name(model)) if folder or ":" not in model else None
        if config is None:
            remedy = "take one of open_clip.list_models() or local-dir:<folder>"
            raise BadInput(model, "is no model of open_clip", remedy)
        return {key: config[key] for key in ("embed_dim", "vision_cfg", "text_cfg")} | {
            "quick_gelu": config.get("quick_gelu", False)
        }
    except BadInput:
        raise
    except Exception as error:  # many kinds: what open_clip makes of another structure
        remedy = "restore its open_clip_config.json"
        raise BadInput(model, "has no configuration that open_clip reads", remedy) from error


def weights_file(model: str, pretrained: str | None) -> Path:
    """The safetensors file of a model, downloaded if it has to be; raises as `load_text_tower`."""
    tag = {} if local_folder(model) else open_clip.get_pretrained_cfg(model, pretrained or "")
    refuse_other_activation(model, pretrained, tag)
    return local_file(model, pretrained) or tagged_file(model, pretrained, tag)


def statistics(model: str, pretrained: str | None) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of RGB in [0, 1] that images are normalised by.

    Weights in a file are taken to be like those of the model's tags where these agree.
    """
    folder = local_folder(model)
    if folder:
        config = json.loads(config_file(folder).read_text(encoding="utf-8"))
        given = [config.get("preprocess_cfg", {})]
    else:
        tag = open_clip.get_pretrained_cfg(model, pretrained or "")
        tags = (
            [tag]
            if tag
            else [
                open_clip.get_pretrained_cfg(model, name)
                for name in open_clip.list_pretrained_tags_by_model(model)
            ]
        )
        given = tags if all(t == tags[0] for t in tags) else []
    usual = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    first = usual | (given[0] if given else {})
    return list(first["mean"]), list(first["std"])


def other_weights(model: str, path: Path, error: Exception) -> BadInput:
    """What to raise where a file does not fit the model."""
    what = f"does not have the weights of {model} ({first_line(error)})"
    return BadInput(path, what, "fetch it again or name the model that it belongs to")


def _name(model: str) -> str:
    folder = local_folder(model)
    return f"local-dir:{folder}" if folder else model


def refuse_other_activation(model: str, pretrained: str | None, tag: dict[str, Any]) -> None:
    """QuickGELU weights load into a GELU model without complaint, and embed badly."""
    if tag and bool(tag.get("quick_gelu")) != bool(
        open_clip.get_model_config(model).get("quick_gelu")
    ):
        what = f"the weights `{pretrained}` were trained with QuickGELU and this model has GELU"
        raise BadInput(model, what, f"write `model: {model}-quickgelu`")
