"""open_clip models: their configurations and weights.

Towers, which are another matter, are loaded by `image_tower.py` and `text_tower.py`.
"""

import json
from pathlib import Path
from typing import Any

import open_clip

from pipeline.clip.fetch import first_line, tagged_file
from pipeline.clip.weights import config_file, local_file, local_folder
from pipeline.errors import BadInput


def configuration(model: str) -> dict[str, Any]:
    """open_clip's description of a model; raises `BadInput` where there is none."""
    folder = local_folder(model)
    if folder:
        config_file(folder)
    try:
        config = (
            open_clip.get_model_config(model_name(model)) if folder or ":" not in model else None
        )
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


def model_name(model: str) -> str:
    """The name by which open_clip finds a model."""
    folder = local_folder(model)
    return f"local-dir:{folder}" if folder else model


def refuse_other_activation(model: str, pretrained: str | None, tag: dict[str, Any]) -> None:
    """QuickGELU weights load into a GELU model without complaint, and embed badly."""
    if tag and bool(tag.get("quick_gelu")) != bool(
        open_clip.get_model_config(model).get("quick_gelu")
    ):
        what = f"the weights `{pretrained}` were trained with QuickGELU and this model has GELU"
        raise BadInput(model, what, f"write `model: {model}-quickgelu`")
