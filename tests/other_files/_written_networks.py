"""A small network as a file, and changes to what the file says."""

import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from model.network.trained import ClassifierHead, Trained, build_network

CPU = torch.device("cpu")
SIZES = {
    "planes": [4] * 8,
    "layers": [1] * 8,
    "stem_width": 4,
    "stem_kernel": 3,
    "head": [6],
}
CLASSES = ["wall", "floor", "chair"]
TOWER = {"model": "ViT-B-16", "pretrained": "openai", "weights": None, "templates": ["a {}"]}
Edit = Callable[[dict[str, torch.Tensor], dict[str, str]], None]


@dataclass(frozen=True)
class Content:
    """The tensors and texts of a network's file."""

    tensors: dict[str, torch.Tensor]
    texts: dict[str, str]


@cache
def content() -> Content:
    """Those of a small network: its weights are the same each time."""
    made = Trained(
        variant="ess_esgs",
        seed=3,
        network=build_network(5, SIZES, 3, ("color", "height")),
        text_embeddings=torch.eye(3, 5),
        classes=CLASSES,
        head=ClassifierHead(normalise=True, temperature=0.05),
        config={"network": SIZES, "inputs": ["color", "height"]},
        voxel_size=0.1,
        tower=TOWER,
        selection="last step",
        curves={"network": {"loss": [0.5, math.nan]}},
    )
    return Content(*made.content())


def write(path: Path, edit: Edit | None = None) -> Path:
    """Write the network with a change, by the package that others write with."""
    tensors = {name: tensor.clone() for name, tensor in content().tensors.items()}
    texts = dict(content().texts)
    if edit:
        edit(tensors, texts)
    save_file(tensors, path, texts)
    return path


def as_type(dtype: torch.dtype) -> Edit:
    """All floats in another type."""

    def edit(tensors: dict[str, torch.Tensor], texts: dict[str, str]) -> None:
        for name, tensor in tensors.items():
            if tensor.is_floating_point() or not dtype.is_floating_point:
                tensors[name] = tensor.to(dtype)

    return edit


def text(name: str, value: str | None) -> Edit:
    """A text replaced, or removed."""

    def edit(tensors: dict[str, torch.Tensor], texts: dict[str, str]) -> None:
        texts.pop(name, None)
        if value is not None:
            texts[name] = value

    return edit


def size(name: str, value: Any) -> Edit:
    """A size of the network that does not fit."""
    config = {"network": SIZES | {name: value}, "inputs": ["color", "height"]}
    return text("config", json.dumps(config))


def number(name: str, value: float) -> Edit:
    """One number of a tensor replaced."""

    def edit(tensors: dict[str, torch.Tensor], texts: dict[str, str]) -> None:
        tensors[name].view(-1)[-1] = value

    return edit


def tensor(name: str, change: Callable[[torch.Tensor], torch.Tensor | None]) -> Edit:
    """A tensor replaced, or removed."""

    def edit(tensors: dict[str, torch.Tensor], texts: dict[str, str]) -> None:
        changed = change(tensors.pop(name, torch.zeros(2)))
        if changed is not None:
            tensors[name] = changed.contiguous()

    return edit


def header(change: Callable[[str], str]) -> Callable[[bytes], bytes]:
    """The header replaced, its length told as it is."""

    def edit(whole: bytes) -> bytes:
        (length,) = struct.unpack("<Q", whole[:8])
        changed = change(whole[8 : 8 + length].decode()).encode()
        return struct.pack("<Q", len(changed)) + changed + whole[8 + length :]

    return edit
