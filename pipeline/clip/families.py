"""Which family of image towers a model belongs to, known without loading torch or open_clip.

Families are the modules of `pipeline.clip.towers`. Kinds are distinguished as open_clip does when
it builds a tower from the model's configuration.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.clip.weights import config_file, is_tipsv2, local_folder
from pipeline.errors import BadInput

_CONVNETS = ("convnext", "fastvit")  # in names of timm


def module_name(model: str) -> str:
    """The dotted name of the module for a model's image tower; see `family`."""
    return f"pipeline.clip.towers.{family(model)}"


def family(model: str) -> str:
    """The family of a model: a name of open_clip, or `local-dir:<folder>`.

    Raises `BadInput` for a model that open_clip does not know, or without a configuration that can
    be read.
    """
    folder = local_folder(model)
    if folder and is_tipsv2(folder):
        return "tipsv2"
    path = _configuration(model)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        vision: dict[str, Any] = config.get("model_cfg", config)["vision_cfg"]
        if name := vision.get("timm_model_name"):
            known = any(part in name for part in _CONVNETS)
            return "timm_convnet" if known else "timm_vit"
        return "open_clip_resnet" if isinstance(vision.get("layers"), list) else "open_clip_vit"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        remedy = "restore its open_clip_config.json"
        raise BadInput(model, "has no configuration that open_clip reads", remedy) from error


def _configuration(model: str) -> Path:
    folder = local_folder(model)
    if folder:
        return config_file(folder)
    package = find_spec("open_clip")  # found, not imported
    home = Path(package.origin or "").parent if package else Path()
    path = home / "model_configs" / f"{model}.json"
    if Path(model).name != model or not path.is_file():
        remedy = "take one of open_clip.list_models() or local-dir:<folder>"
        raise BadInput(model, "is no model of open_clip", remedy)
    return path
