"""A look at the files of a CLIP model before it is built: sizes, shapes, and numbers.

A configuration can ask for any amount of memory, and weights that are not finite give embeddings
that are none. This reads the weights once, and is in no key: it changes nothing that is read.
"""

from collections.abc import Iterator
from typing import Any

import open_clip
import torch
from safetensors import safe_open

from pipeline.clip import hub, tipsv2
from pipeline.clip.fetch import first_line
from pipeline.clip.models import configuration, other_weights, weights_file
from pipeline.clip.weights import is_tipsv2, local_folder
from pipeline.errors import BadInput

_REMEDY = "restore its configuration, or its weights"
_LAYERS = ("layers", "depth", "num_hidden_layers")


def require_sound(model: str, pretrained: str | None) -> None:
    """Raise `BadInput` where the weights of a model are damaged, or not those that it describes.

    Also where the configuration of a local model is of another size than its weights.
    """
    model = hub.located(model)
    folder = local_folder(model)
    tips = folder is not None and is_tipsv2(folder)
    described = tipsv2.configuration(model).to_dict() if tips else configuration(model)
    path = weights_file(model, pretrained)
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
            if folder:
                _require_numbers(model, described, shapes)
            if folder and not tips:
                _require_sizes(model, described, shapes)
            for name in names:
                tensor = file.get_tensor(name)
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    raise ValueError(f"its {name} has numbers that are not finite")
    except BadInput:
        raise
    except Exception as error:  # many kinds: safetensors lets those of torch through
        raise other_weights(model, path, error) from error


def _require_numbers(
    model: str, described: dict[str, Any], shapes: dict[str, tuple[int, ...]]
) -> None:
    """Raise `BadInput` where a configuration has larger numbers than its weights allow."""
    most = max((max(shape, default=1) for shape in shapes.values()), default=0)
    most = max(most, 4096)  # pixels of an image are in no shape
    for name, value in _numbers(described):
        if abs(value) > most:
            what = f"has a configuration whose {name} is {value:.6g}: its weights are not so large"
            raise BadInput(model, what, _REMEDY)
        if name in _LAYERS and value > len(shapes):
            raise BadInput(model, "has a configuration of more layers than its weights", _REMEDY)


def _require_sizes(
    model: str, described: dict[str, Any], shapes: dict[str, tuple[int, ...]]
) -> None:
    """Raise `BadInput` unless a model that is built without memory has these tensors."""
    try:
        with torch.device("meta"):
            built = open_clip.CLIP(**_arguments(described))
        expected = {name: tuple(each.shape) for name, each in built.state_dict().items()}
    except Exception as error:  # many kinds, of open_clip, timm and torch
        what = f"has a configuration of which nothing can be built ({first_line(error)})"
        raise BadInput(model, what, _REMEDY) from error
    for name, shape in expected.items():
        if name in shapes and shapes[name] != shape:
            what = f"has a configuration by which {name} has the shape {shape}, not {shapes[name]}"
            raise BadInput(model, what, _REMEDY)


def _arguments(described: dict[str, Any]) -> dict[str, Any]:
    vision = dict(described["vision_cfg"])
    if vision.get("timm_model_name"):
        vision["timm_model_pretrained"] = False
    return {**described, "vision_cfg": vision}


def _numbers(part: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(part, dict):
        for key, value in part.items():
            yield from _numbers(value, str(key))
    elif isinstance(part, list):
        for value in part:
            yield from _numbers(value, name)
    elif isinstance(part, int | float) and not isinstance(part, bool):
        yield name, part
