"""A small TIPSv2 with random weights, in the files of its release."""

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from safetensors.torch import load_file, save_file
from transformers import Tipsv2Config, Tipsv2Model

from pipeline.clip.weights import TIPS_CONFIG, TIPS_WEIGHTS

WIDTH, PATCH, SIDE, LONGEST = 32, 14, 56, 12
WORDS = ["a photo of a chair", "a table in a room", "many sofas", "a bad photo of the table"]


@cache
def spelled() -> bytes:
    """A tokenizer of sentencepiece like that of the release: pairs of bytes, no begin and end."""
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(WORDS * 4),
        model_writer=made,
        model_type="bpe",
        vocab_size=290,
        byte_fallback=True,
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
    )
    return made.getvalue()


def config(**vision: Any) -> Tipsv2Config:
    """A ViT of 56 px, width 32 and 3 blocks, but for `vision`, and a text tower of 2 layers."""
    image: dict[str, Any] = {"hidden_size": WIDTH, "num_hidden_layers": 3, "image_size": SIDE}
    pieces = sentencepiece.SentencePieceProcessor(model_proto=spelled()).get_piece_size()
    text = {"hidden_size": WIDTH, "num_hidden_layers": 2, "intermediate_size": 48}
    sizes = {"num_attention_heads": 4, "vocab_size": pieces, "max_position_embeddings": LONGEST}
    return Tipsv2Config(
        text_config=text | sizes,
        vision_config=image | {"num_attention_heads": 4} | vision,
        temperature_init_value=0.02,
    )


def build(seed: int = 0, **vision: Any) -> Tipsv2Model:
    """The model, every parameter off its initial value."""
    torch.manual_seed(seed)
    made = Tipsv2Model(config(**vision))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name != "temperature":
                parameter.add_(0.05 * torch.randn_like(parameter))
    return made.eval().requires_grad_(False)


def write(folder: Path, seed: int = 0, **vision: Any) -> str:
    """Write such a model as it is released; the name to give as `model`."""
    folder.mkdir(parents=True, exist_ok=True)
    build(seed, **vision).save_pretrained(folder)
    path = folder / TIPS_WEIGHTS
    parts = load_file(path)
    del parts["temperature"]  # which the release has in its configuration
    save_file({_released(name): part for name, part in parts.items()}, path)
    (folder / "tokenizer.model").write_bytes(spelled())
    return f"local-dir:{folder}"


def described(folder: Path) -> dict[str, Any]:
    """What the configuration of a folder says."""
    found: dict[str, Any] = json.loads((folder / TIPS_CONFIG).read_text())
    return found


def _released(name: str) -> str:
    if not name.startswith("vision_encoder."):
        return name
    return name.replace(".mlp.c_fc.", ".mlp.fc1.").replace(".mlp.c_proj.", ".mlp.fc2.")
