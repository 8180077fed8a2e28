"""Text towers: sentences embedded, by a tower of open_clip's own or TIPSv2's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray

from pipeline.clip.fetch import first_line, hub_tokenizer
from pipeline.clip.models import configuration, model_name, other_weights, weights_file
from pipeline.clip.weights import is_tipsv2, local_folder, merges_file
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
    folder = local_folder(model)
    tips = folder is not None and is_tipsv2(folder)
    whole, tokenizer = _tipsv2(model) if tips else _open_clip(model, pretrained)
    if not all(bool(torch.isfinite(weights).all()) for weights in whole.parameters()):
        fault = ValueError("they have numbers that are not finite")
        raise other_weights(model, weights_file(model, pretrained), fault)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return TextTower(whole.eval().requires_grad_(False).to(device), tokenizer, device)


def _tipsv2(model: str) -> tuple[Any, Any]:
    """The text tower of TIPSv2 and its tokenizer."""
    try:
        from pipeline.clip.tipsv2_text import Tips
    except ImportError as error:
        what = f"its text tower needs a package that is not installed ({error.name})"
        raise BadInput(model, what, "pip install transformers sentencepiece") from error
    tower = Tips(model)
    return tower, tower.tokens


def _open_clip(model: str, pretrained: str | None) -> tuple[Any, Any]:
    """A model of open_clip and its tokenizer."""
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
                model_name(model), **({"bpe_path": str(merges)} if merges else {})
            )
        except Exception as error:  # many kinds
            what = f"is no tokenizer that can be read ({first_line(error)})"
            raise BadInput(merges or model, what, "fetch its files again") from error
    try:
        return open_clip.create_model(model_name(model), None if folder else str(path)), tokenizer
    except Exception as error:  # many kinds, assertions and safetensors' own among them
        raise other_weights(model, path, error) from error
