"""The text tower of TIPSv2, through transformers."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Tipsv2TextModel, Tipsv2Tokenizer

from pipeline.clip import tipsv2
from pipeline.clip.fetch import first_line
from pipeline.clip.models import other_weights, weights_file
from pipeline.clip.weights import TIPS_TOKENIZER, local_files, local_folder
from pipeline.errors import BadInput


class Tips(nn.Module):
    """The tower with its tokenizer, called as open_clip's models are."""

    def __init__(self, model: str) -> None:
        """`model` is a local one. Raises `BadInput` where a file is missing or damaged."""
        super().__init__()
        config, path = tipsv2.configuration(model), weights_file(model, None)
        self._tokenizer = _tokenizer(model)
        self._longest: int = config.text_config.max_position_embeddings
        try:
            loaded: Any = Tipsv2TextModel.from_pretrained(
                path.parent,
                config=config.text_config,
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
            self.text, found = loaded
            lacking = sorted({*found["missing_keys"], *map(str, found["mismatched_keys"])})
            if lacking:
                raise ValueError(f"it has no {lacking[0]} of this size for the text tower")
        except Exception as error:  # many kinds, safetensors' own among them
            raise other_weights(model, path, error) from error
        scale = 1 / torch.tensor(config.temperature_init_value)
        self.register_buffer("logit_scale", scale.log())

    def tokens(self, texts: list[str]) -> Any:
        """Tokens and which of them are no padding, of texts in lower case, cut off at 64 tokens."""
        return self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
        )

    def encode_text(self, tokens: Any, normalize: bool = False) -> Tensor:
        """Embeddings (B, d): the mean over all tokens that are no padding."""
        pooled: Tensor = self.text(tokens["input_ids"], tokens["attention_mask"]).pooler_output
        return F.normalize(pooled, dim=-1) if normalize else pooled


def _tokenizer(model: str) -> Any:
    folder = local_folder(model)
    local_files(model, None)  # says what is missing
    try:
        return Tipsv2Tokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # many kinds
        what = f"is no tokenizer that can be read ({first_line(error)})"
        where = f"{folder}/{' or '.join(TIPS_TOKENIZER)}"
        raise BadInput(where, what, "fetch it again, and pip install sentencepiece") from error
