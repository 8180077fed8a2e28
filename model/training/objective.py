"""The loss of weakly supervised training: a weighted sum of terms that the config chooses."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.data.dataset import Batch
from model.training.cross_entropy import class_weights
from model.training.losses import SETTINGS, term_weights
from model.training.predicted import Predicted
from model.training.ranks import Mean
from model.training.rows import Lazy
from model.training.supervision import Supervision


@dataclass(frozen=True)
class LossConfig:
    """The section `loss` of the config."""

    weights: Mapping[str, float]  # of the terms that take part, by name
    balance: bool = True  # weigh each voxel by 1/sqrt(n) of its pseudo-label
    mask_absent: bool = False  # only classes among a scan's tags compete in `text`
    temperature: float = 0.05  # of similarities to the text


def loss_config(loss: Mapping[str, Any]) -> LossConfig:
    """Read the section. Raises `BadInput` for an unknown term, and if none has a weight above 0."""
    settings = {name: loss[name] for name in SETTINGS if name in loss}
    return LossConfig(term_weights(loss), **settings)


class Objective:
    """The loss of one run."""

    def __init__(
        self,
        config: LossConfig,
        parts: Mapping[str, ModuleType],
        text: torch.Tensor,
        counts: NDArray[np.int64],
    ) -> None:
        """`parts` are the modules of the terms by name (see `model.training.losses`).

        `text` (K, d) float32 is of unit length, `counts` (K,) are those of the pseudo-labels.
        """
        self.config, self.text = config, text
        self.terms = [(name, weight, parts[name]) for name, weight in config.weights.items()]
        self.class_weight = class_weights(counts).to(text.device) if config.balance else None

    def __call__(
        self, embedding: torch.Tensor | Lazy, target: torch.Tensor | Lazy, batch: Batch
    ) -> dict[str, Mean]:
        """The terms by name, with their weights, which add up to the loss.

        Predicted embeddings (V, d) against 2D embeddings (V, d), and what a batch says else.
        """
        known = Supervision(
            target=target,
            label=batch.label,
            text=self.text,
            temperature=self.config.temperature,
            class_weight=self.class_weight,
            scan=batch.scan,
            superpoint=batch.superpoint,
            present=batch.present,
            probability=batch.probability if batch.probability.shape[1] else None,
            mask_absent=self.config.mask_absent,
        )
        together = [term.OF_ROWS for _, _, term in self.terms if hasattr(term, "OF_ROWS")]
        predicted = Predicted(embedding, known, together)
        return {
            name: Mean(weight * term.loss(predicted, known), _over(term, known))
            for name, weight, term in self.terms
        }


def _over(term: ModuleType, known: Supervision) -> torch.Tensor | float:
    """What a term is the mean over: all voxels, unless it says so."""
    return term.over(known) if hasattr(term, "over") else float(len(known.label))
