"""Fitting the adapter of the embeddings specialisation stage (ESS) to the pseudo-labels.

3DSS-VLG (Xu et al., ECCV 2024). Only voxels that have a pseudo-label take part.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from model.data.entries import ScanEntries, read_text
from model.data.features import read_features
from model.data.scans import Scenes, count_labels, in_order, load, split_scans
from model.network.adapter import Adapter, AdapterConfig, adapter_config, save_adapter
from model.network.device import device, reproducible
from model.training import ranks
from model.training.cross_entropy import class_weights, cross_entropy, weight_of
from model.training.ranks import Mean
from model.training.watch import Watch
from pipeline.progress import Progress


class _Points(NamedTuple):
    feature: torch.Tensor  # (p, d) float16
    label: torch.Tensor  # (p,) int64, no -1


class _PointSamples(Scenes):
    """Random voxels with a pseudo-label, by (epoch, scan)."""

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
        feature = read_features([scene.feature[labelled]])
        return _Points(feature, torch.from_numpy(scene.label[labelled]))


def _join(samples: Sequence[_Points], width: int) -> _Points:
    if not samples:  # of several processes one can be left without a scan in the last step
        return _Points(torch.empty(0, width, dtype=torch.float16), torch.empty(0).long())
    return _Points(torch.cat([s.feature for s in samples]), torch.cat([s.label for s in samples]))


class _Logits(nn.Module):
    """All that an adapter computes in a step of its training, as one module."""

    def __init__(self, adapter: Adapter) -> None:
        super().__init__()
        self.adapter = adapter

    def forward(self, x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """As `Adapter.logits`."""
        return self.adapter.logits(x, text)


def fit_adapter(
    config: AdapterConfig,
    scans: Sequence[ScanEntries],
    text: torch.Tensor,
    *,
    seed: int,
    workers: int = 0,
    log: Path | None = None,
) -> tuple[Adapter, dict[str, list[float]]]:
    """Fit an adapter on the device of `text` and return it as it is after the last epoch.

    `text` (K, d) of unit length is the frozen classifier. Also returned are, for each epoch, the
    mean `loss` and the `agreement`: the share of held-out voxels whose best class of all K is
    their pseudo-label, which is restricted to the scene's tags. No dense label is read. In the
    folder `log` the fit can be watched (`model.training.watch`). Of several processes each has a
    part of every step and of the held-out scans.
    """
    torch.manual_seed(seed)
    adapter = Adapter(text.shape[1], config).to(text.device)
    fit_on, held_out = split_scans(len(scans), config.held_out, seed)
    counts = count_labels([scans[i] for i in ranks.own(fit_on)], len(text))
    counts = ranks.total_counts(counts, text.device)
    weight = class_weights(counts).to(text.device) if config.balance else None
    optimiser = torch.optim.Adam(
        adapter.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )

    batches = []
    for epoch in range(config.epochs):
        order = np.random.default_rng([seed, 4, epoch]).permutation(fit_on).tolist()
        steps = [order[i : i + config.batch] for i in range(0, len(order), config.batch)]
        batches += [[(epoch, scan) for scan in ranks.own(step)] for step in steps]
        batches += [[(epoch, scan)] for scan in ranks.own(held_out)]
    samples = _PointSamples(scans, workers, seed, config.points)

    curves: dict[str, list[float]] = {"loss": [], "agreement": []}
    logits = ranks.together(_Logits(adapter), adapter)
    bar = Progress(range(config.epochs), "adapter", unit="epoch", disable=not ranks.first())
    with Watch(log if ranks.first() else None) as watch:
        join = partial(_join, width=text.shape[1])
        stream = watch.waiting(load(samples, batches, join, workers))
        for epoch in bar:
            rate = config.lr * config.decay ** (epoch // config.decay_epochs)
            for group in optimiser.param_groups:
                group["lr"] = rate
            losses, agreement = [], None
            for _ in range(-(-len(fit_on) // config.batch)):
                points = _to(next(stream), text.device)
                output = logits(points.feature, text)
                value = cross_entropy(output, points.label, weight)
                mean_of = {"loss": Mean(value, weight_of(points.label, weight))}
                (loss,) = ranks.shares(mean_of, output).values()
                optimiser.zero_grad()
                (loss * ranks.count()).backward()  # gradients are averaged, losses added
                optimiser.step()
                losses.append(ranks.measured(loss, {})[0])
            curves["loss"].append(mean := float(np.mean(losses)))
            if held_out:
                with torch.no_grad():
                    agreed = [
                        _agreement(adapter, _to(next(stream), text.device), text)
                        for _ in ranks.own(held_out)
                    ]
                sums = np.sum([(0, 0), *agreed], axis=0)
                hits, total = ranks.total_counts(sums, text.device)
                curves["agreement"].append(agreement := float(hits / max(total, 1)))
                bar.set_postfix(agreement=f"{agreement:.3f}", refresh=False)
            last = epoch + 1 == config.epochs
            watch.step(epoch + 1, mean, rate, agreement=agreement, last=last)
    return adapter.eval().requires_grad_(False), curves


def _to(points: _Points, device: torch.device) -> _Points:
    return _Points(*(part.to(device, non_blocking=True) for part in points))


def _agreement(adapter: Adapter, points: _Points, text: torch.Tensor) -> tuple[int, int]:
    best = adapter.logits(points.feature, text).argmax(dim=1)
    return int((best == points.label).sum()), len(points.label)


def write_adapter(
    params: Mapping[str, Any],
    scans: Sequence[ScanEntries],
    text: Path,
    out: Path,
    *,
    seed: int,
    entry: str = "",
    workers: int = 0,
    log: Path | None = None,
) -> None:
    """Fit the adapter that `params` (a preset and changes to it) ask for, and write it to `out`.

    Raises `ValueError` without any scan.
    """
    scans, (embedding, _) = in_order(scans), read_text(text)
    with reproducible():
        classifier = torch.from_numpy(embedding).to(device())
        config = adapter_config(params)
        adapter, curves = fit_adapter(
            config, scans, classifier, seed=seed, workers=workers, log=log
        )
        if ranks.first():
            save_adapter(out, adapter, entry, curves)
