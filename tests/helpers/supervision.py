"""Predicted embeddings of two scans with superpoints and tags, and what is known of them."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F

from model.training.predicted import Predicted
from model.training.rows import Lazy
from model.training.supervision import Supervision
from tests.helpers.tiny_entries import WIDTH

VOXELS, SCANS, PARTS = 40, 2, 5


def known(seed: int, **options: Any) -> tuple[torch.Tensor, Supervision]:
    """Predicted embeddings of two scans with superpoints and tags, and their supervision."""
    rng = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=rng, dtype=torch.float32)

    words, target = F.normalize(draw(6, WIDTH), dim=1), draw(VOXELS, WIDTH)
    scan = torch.arange(VOXELS) * SCANS // VOXELS
    part = torch.randint(-1, PARTS, (VOXELS,), generator=rng)
    own = torch.where(part < 0, -1, part * SCANS + scan)
    present = torch.tensor([[1, 1, 0, 1, 0, 1], [1, 0, 0, 0, 1, 1]], dtype=torch.bool)
    label = torch.randint(-1, 2, (VOXELS,), generator=rng) % 6  # 0, 1 or 5: -1 becomes 5
    label[::7] = -1
    facts = Supervision(target, label, words, 0.1, None, scan, own, present)
    return draw(VOXELS, WIDTH), replace(facts, **options)


def loss_of(term: ModuleType, embedding: torch.Tensor | Lazy, facts: Supervision) -> torch.Tensor:
    """A term, of predicted embeddings (V, d)."""
    value = term.loss(Predicted(embedding, facts), facts)
    assert isinstance(value, torch.Tensor)
    return value


def logits_of(embedding: torch.Tensor, facts: Supervision) -> torch.Tensor:
    """Cosines (V, K) with the texts, over the temperature."""
    return F.normalize(embedding, dim=1) @ facts.text.T / facts.temperature
