"""Fully supervised training: the same network and budget, with dense labels.

It is an upper bound for comparison and no part of the method: nothing that it reads or makes goes
into a weakly supervised network.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.data.dataset import Batch
from model.data.entries import read_entry, read_text, voxel_size
from model.data.labels import LabelledScan
from model.data.scans import in_order
from model.network.device import device, reproducible
from model.network.inputs import COLOR_ONLY
from model.network.trained import LAST_STEP, ClassifierHead, Trained, build_network
from model.training import ranks
from model.training.cross_entropy import class_weights, cross_entropy, weight_of
from model.training.loop import Run, fit
from model.training.ranks import Mean
from model.training.rows import Lazy

PACKAGES = ("numpy", "scipy", "spconv-cu120", "torch")
VARIANT = "supervised"


def train_fully_supervised(
    params: Mapping[str, Any],
    seed: int,
    scans: Sequence[LabelledScan],
    text: Path,
    out: Path,
    scratch: Path,
    *,
    entry: str = "",
    workers: int = 0,
    checkpoint_every: int = 200,
    log: Path | None = None,
) -> None:
    """Train the network with K outputs on the voxels' majority labels and write it to `out`.

    Parameters are those of `train_weakly_supervised`. With `balance` in `params["loss"]` classes
    of n voxels weigh 1/sqrt(n) in the cross-entropy; the other keys of `loss`, and `adapter`, are
    not used. Of `text` only the names of the classes are read. Raises `ValueError` without any
    scan.
    """
    scans = in_order(scans)
    _, classes = read_text(text)
    entry_voxel_size = voxel_size(read_entry(scans[0].voxels))
    scratch.mkdir(parents=True, exist_ok=True)
    run = Run(VARIANT, seed, params, scans, scratch, workers, checkpoint_every, log)
    with reproducible():
        weight = None
        if params["loss"]["balance"]:
            counts = ranks.total_counts(_count(ranks.own(scans), len(classes)), device())
            weight = class_weights(counts).to(device())

        def terms(output: Lazy, batch: Batch) -> dict[str, Mean]:
            value = cross_entropy(output[:].float(), batch.label, weight)
            return {"cross_entropy": Mean(value, weight_of(batch.label, weight))}

        inputs = params.get("inputs", COLOR_ONLY)
        network = build_network(len(classes), params["network"], seed, inputs).to(device())
        curves = fit(run, network, terms)
    trained = Trained(
        variant=VARIANT,
        seed=seed,
        entry=entry,
        network=network,
        text_embeddings=torch.eye(len(classes)),
        classes=classes,
        head=ClassifierHead(normalise=False, temperature=1.0),
        config=dict(params),
        voxel_size=params.get("voxel_size") or entry_voxel_size,
        entry_voxel_size=entry_voxel_size,
        trained_on=len(scans),
        selection=LAST_STEP,
        curves=curves,
    )
    if ranks.first():
        trained.save(out)


def _count(scans: Sequence[LabelledScan], classes: int) -> np.ndarray:
    """The number of voxels (K,) of all scans with each label."""
    total = np.zeros(classes, np.int64)
    for scan in scans:
        total += np.bincount(scan.read().label, minlength=classes)
    return total
