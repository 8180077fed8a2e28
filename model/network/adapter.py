"""Embeddings specialisation stage (ESS) of 3DSS-VLG (Xu et al., ECCV 2024).

A small adapter moves the fused 2D embeddings towards the text embeddings of their pseudo-labels. It
is applied during training; adapted embeddings are never written to a file.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from model.network import files
from model.network.tensors import require_like
from pipeline.errors import BadInput
from pipeline.foreign import one_line, parse_json


@dataclass(frozen=True)
class AdapterConfig:
    """The shape of the adapter and how it is fitted; defaults are those of the paper's release."""

    normalise: bool  # embeddings to unit length before and after the adapter
    temperature: float  # of the similarities to the text
    balance: bool  # classes weighted by 1/sqrt(n) in the cross-entropy
    from_identity: bool  # fc is 0 at first, so that A(x) has the direction of x
    ratio: float = 0.95  # share of fc in A(x) = ratio fc(x) + (1 - ratio) x
    epochs: int = 80
    batch: int = 16  # scans
    points: int = 40_000  # of each scan and epoch, drawn at random
    lr: float = 3e-3
    weight_decay: float = 4e-4
    decay: float = 0.7  # of the learning rate
    decay_epochs: int = 20
    held_out: float = 0.1  # share of the training scans that only measure the agreement


PRESETS = {
    "paper": AdapterConfig(normalise=False, temperature=1.0, balance=False, from_identity=False),
    "normalised": AdapterConfig(
        normalise=True, temperature=0.05, balance=True, from_identity=True, ratio=0.5
    ),
}


def adapter_config(params: Mapping[str, Any]) -> AdapterConfig:
    """A preset with some fields replaced: {preset: name, field: value, ...}.

    Raises `KeyError` for an unknown preset and `TypeError` for an unknown field.
    """
    fields = {name: value for name, value in params.items() if name != "preset"}
    return replace(PRESETS[params["preset"]], **fields)


class Adapter(nn.Module):
    """A(x) = ratio fc(x) + (1 - ratio) x with fc linear, d -> d/4 -> d."""

    def __init__(self, width: int, config: AdapterConfig) -> None:
        super().__init__()
        self.config = config
        hidden = max(1, width // 4)
        widen = nn.Linear(hidden, width)
        if config.from_identity:
            nn.init.zeros_(widen.weight)
            nn.init.zeros_(widen.bias)
        self.fc = nn.Sequential(nn.Linear(width, hidden, bias=False), widen)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Fused 2D embeddings (V, d) -> adapted embeddings (V, d)."""
        x = x.float()
        if self.config.normalise:
            x = F.normalize(x, dim=1)
        return self.config.ratio * self.fc(x) + (1 - self.config.ratio) * x

    def logits(self, x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Fused 2D embeddings (V, d) against text embeddings (K, d) -> (V, K)."""
        adapted = self(x)
        if self.config.normalise:
            adapted = F.normalize(adapted, dim=1)
        return adapted @ text.T / self.config.temperature


def save_adapter(
    path: Path, adapter: Adapter, entry: str, curves: Mapping[str, Sequence[float]]
) -> None:
    """Write an adapter with the identity of its entry and what was measured while it was fitted."""
    metadata = {
        "entry": entry,
        "config": json.dumps(asdict(adapter.config), sort_keys=True),
        "curves": json.dumps(curves, sort_keys=True),
    }
    files.write(path, adapter.state_dict(), metadata)


def load_adapter(path: Path, where: torch.device) -> tuple[Adapter, dict[str, list[float]]]:
    """Read an adapter, and its curves. Raises `BadInput` for a file that is none."""
    tensors, metadata = files.read(path)
    try:
        config = AdapterConfig(**_object(metadata, "config"))
        if not math.isfinite(config.ratio) or not 0 < config.temperature < math.inf:
            raise ValueError("its ratio or temperature is none")
        width = tensors["fc.0.weight"].shape[1]
        if width > 4 * len(tensors["fc.0.weight"]) + 4:  # a quarter of it are rows
            raise ValueError("its tensors have other shapes")
        adapter = Adapter(width, config)
        for name, own in adapter.state_dict().items():
            require_like(name, tensors[name], tuple(own.shape))
        adapter.load_state_dict(tensors)
        curves: dict[str, list[float]] = _object(metadata, "curves")
    except (ValueError, LookupError, TypeError, RuntimeError) as error:
        what = f"is no adapter of this version of the project ({one_line(error)})"
        raise BadInput(path, what, "remove it; the next run makes it again") from error
    return adapter.to(where).eval().requires_grad_(False), curves


def _object(metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    found = parse_json(metadata.get(name, "null"))
    if not isinstance(found, dict):
        raise ValueError(f"its {name} is no object")
    return found
