"""The file of a trained network: what `train` and `ceiling` write and `predict` reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from model.network import files
from model.network.adapter import Adapter
from model.network.unet import MinkUNet
from pipeline.errors import BadInput

LAST_STEP = "last step; no label took part in the choice"
_TEXTS = (
    "variant",
    "seed",
    "classes",
    "readout",
    "config",
    "voxel_size",
    "tower",
    "selection",
    "curves",
)


@dataclass(frozen=True)
class Readout:
    """How a network's vectors become class probabilities: softmax(F T' / temperature)."""

    normalise: bool  # vectors brought to unit length before they meet the text
    temperature: float


@dataclass(frozen=True)
class Trained:
    """A trained network with the classifier it is read with."""

    variant: str  # a name in `model.training.weakly_supervised.VARIANTS`, or dense
    seed: int
    network: MinkUNet
    text: torch.Tensor  # (K, d): text embeddings, or the identity for a network with K outputs
    classes: list[str]
    readout: Readout
    config: dict[str, Any]  # the parameters of the run
    voxel_size: float  # metres: what it was taught with, and must be shown
    selection: str  # how the checkpoint was chosen
    curves: dict[str, Any] = field(default_factory=dict)
    adapter: Adapter | None = None
    # Of the text tower that its embeddings agree with: model, pretrained, weights (the digest of
    # local files) and templates. None where there is none: for the ceiling, and for features of
    # another model.
    tower: Mapping[str, Any] | None = None
    entry: str = ""  # what the file says that it is

    def save(self, path: Path) -> None:
        """Write everything to one safetensors file."""
        tensors = {**files.named("network", self.network.state_dict()), "text": self.text}
        if self.adapter is not None:
            tensors |= files.named("adapter", self.adapter.state_dict())
        texts = {
            "entry": self.entry,
            "variant": self.variant,
            "seed": str(self.seed),
            "classes": json.dumps(self.classes),
            "readout": json.dumps(vars(self.readout), sort_keys=True),
            "config": json.dumps(self.config, sort_keys=True),
            "voxel_size": json.dumps(self.voxel_size),
            "tower": json.dumps(self.tower, sort_keys=True),
            "selection": self.selection,
            "curves": json.dumps(self.curves, sort_keys=True),
        }
        files.write(path, tensors, texts)


def build_network(out_channels: int, sizes: Mapping[str, Any], seed: int) -> MinkUNet:
    """A network from colour to `out_channels`, with initial weights that the seed fixes.

    `sizes` are the keywords of `MinkUNet` after its channels.
    """
    torch.manual_seed(seed)
    return MinkUNet(3, out_channels, **sizes)


def load(path: Path, where: torch.device) -> Trained:
    """Read a trained network for inference. The adapter, needed in training only, stays unread.

    Raises `BadInput` for a file that is no network, or one of another version of this project.
    """
    tensors, texts = files.read(path)
    lacking = [name for name in ("network.head.weight", "text") if name not in tensors]
    lacking += [name for name in _TEXTS if name not in texts]
    if lacking:
        what = f"is no network of this version of the project: it has no {lacking[0]}"
        raise BadInput(path, what, "name a network that it trained, or train anew")
    config, text = json.loads(texts["config"]), tensors["text"]
    weights = files.under("network", tensors)
    network = build_network(len(weights["head.weight"]), config["network"], 0)
    network.load_state_dict(weights)
    return Trained(
        variant=texts["variant"],
        seed=int(texts["seed"]),
        network=network.to(where).eval().requires_grad_(False),
        text=text.to(where),
        classes=json.loads(texts["classes"]),
        readout=Readout(**json.loads(texts["readout"])),
        config=config,
        voxel_size=json.loads(texts["voxel_size"]),
        tower=json.loads(texts["tower"]),
        selection=texts["selection"],
        curves=json.loads(texts["curves"]),
    )
