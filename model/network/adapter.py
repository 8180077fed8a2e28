"""Embeddings specialisation stage (ESS) of 3DSS-VLG (Xu et al., ECCV 2024).

A small adapter learns, from the pseudo-labels, to move the fused 2D embeddings towards the text of
their classes. It is applied while loading; adapted embeddings are never written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from model.data.dataset import Scenes, count_labels, load
from model.data.entries import ScanEntries
from model.training.loss import class_weights, label_loss


@dataclass(frozen=True)
class AdapterConfig:
    """How the adapter is shaped and fitted; the defaults are those of the paper's release."""

    normalise: bool  # embeddings brought to unit length before and after the adapter
    temperature: float  # what the similarities to the text are divided by
    balance: bool  # classes weighted by 1/sqrt(n) in the cross-entropy
    from_identity: bool  # fc begins at 0, so that A(x) begins with the direction of x
    ratio: float = 0.95  # share of fc in A(x) = ratio fc(x) + (1 - ratio) x
    epochs: int = 80
    batch: int = 16  # scans
    points: int = 40_000  # of each scan, drawn anew in each epoch
    lr: float = 3e-3
    weight_decay: float = 4e-4
    decay: float = 0.7  # of the learning rate
    decay_epochs: int = 20
    held_out: float = 0.1  # share of the training scans that only the agreement is measured on


PRESETS = {
    "paper": AdapterConfig(normalise=False, temperature=1.0, balance=False, from_identity=False),
    "normalised": AdapterConfig(
        normalise=True, temperature=0.05, balance=True, from_identity=True, ratio=0.5
    ),
}


def adapter_config(params: dict[str, Any]) -> AdapterConfig:
    """A preset with some of its fields replaced: {preset: name, field: value, ...}."""
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


class _Points(NamedTuple):
    feature: torch.Tensor  # (p, d) float16
    label: torch.Tensor  # (p,) int64, no -1


class _PointSamples(Scenes):
    """Random voxels that have a pseudo-label, by (epoch, scan)."""

    def __init__(self, scans: Sequence[ScanEntries], workers: int, seed: int, points: int) -> None:
        super().__init__(scans, workers)
        self.seed, self.points = seed, points

    def __getitem__(self, key: tuple[int, int]) -> _Points:
        epoch, number = key
        scene = self.read(number)
        rng = np.random.default_rng([self.seed, 3, epoch, number])
        labelled = np.flatnonzero(scene.label >= 0)
        if len(labelled) > self.points:
            labelled = np.sort(rng.choice(labelled, self.points, replace=False))
        return _Points(
            torch.from_numpy(scene.feature[labelled]), torch.from_numpy(scene.label[labelled])
        )


def _join(samples: Sequence[_Points]) -> _Points:
    return _Points(torch.cat([s.feature for s in samples]), torch.cat([s.label for s in samples]))


def split_scans(scans: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Numbers of the scans to fit on and of those held out, at least one of each (of two scans)."""
    order = np.random.default_rng([seed, 2]).permutation(scans).tolist()
    held = min(scans - 1, max(1, round(share * scans))) if share > 0 else 0
    return sorted(order[held:]), sorted(order[:held])


def fit_adapter(
    config: AdapterConfig,
    scans: Sequence[ScanEntries],
    text: torch.Tensor,
    *,
    seed: int,
    workers: int = 0,
) -> tuple[Adapter, dict[str, list[float]]]:
    """Fit an adapter on `text`'s device; the one after the last epoch is returned.

    `text` (K, d) of unit length is the frozen classifier. Returned beside the adapter: for each
    epoch the loss, and the share of held-out voxels whose best class among *all* is their
    pseudo-label, which knows the scene's classes ("agreement"). No label is read.
    """
    torch.manual_seed(seed)
    adapter = Adapter(text.shape[1], config).to(text.device)
    fit_on, held_out = split_scans(len(scans), config.held_out, seed)
    counts = count_labels([scans[i] for i in fit_on], len(text))
    weight = class_weights(counts).to(text.device) if config.balance else None
    optimiser = torch.optim.Adam(
        adapter.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )

    batches = []
    for epoch in range(config.epochs):
        order = np.random.default_rng([seed, 4, epoch]).permutation(fit_on).tolist()
        steps = [order[i : i + config.batch] for i in range(0, len(order), config.batch)]
        batches += [[(epoch, scan) for scan in step] for step in steps]
        batches += [[(epoch, scan)] for scan in held_out]
    samples = _PointSamples(scans, workers, seed, config.points)
    stream = iter(load(samples, batches, _join, workers))

    curves: dict[str, list[float]] = {"loss": [], "agreement": []}
    bar = tqdm(range(config.epochs), desc="adapter", unit="epoch", mininterval=2)
    for epoch in bar:
        for group in optimiser.param_groups:
            group["lr"] = config.lr * config.decay ** (epoch // config.decay_epochs)
        losses = []
        for _ in range(-(-len(fit_on) // config.batch)):
            points = _to(next(stream), text.device)
            loss = label_loss(adapter.logits(points.feature, text), points.label, weight)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        curves["loss"].append(float(np.mean(losses)))
        if held_out:
            with torch.no_grad():
                agreed = [
                    _agreement(adapter, _to(next(stream), text.device), text) for _ in held_out
                ]
            hits, total = np.sum(agreed, axis=0)
            curves["agreement"].append(float(hits / max(total, 1)))
            bar.set_postfix(agreement=f"{curves['agreement'][-1]:.3f}", refresh=False)
    return adapter.eval().requires_grad_(False), curves


def _to(points: _Points, device: torch.device) -> _Points:
    return _Points(*(part.to(device, non_blocking=True) for part in points))


def _agreement(adapter: Adapter, points: _Points, text: torch.Tensor) -> tuple[int, int]:
    best = adapter.logits(points.feature, text).argmax(dim=1)
    return int((best == points.label).sum()), len(points.label)
