"""Refined labels: chosen from the class probabilities of adapted embeddings.

Pseudo-labels come from the fused embeddings before their specialisation (ESS). The adapter agrees
with the tags and between scans, so its probabilities, averaged over superpoints, are better labels
for the terms of the loss that learn labels. No dense label is read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from model.data.entries import ScanEntries, read_array, read_entry, read_text
from model.data.scans import in_order
from model.network import files
from model.network.adapter import Adapter, load_adapter
from model.network.device import device, reproducible
from pipeline.geometry.label_choice import Chosen, LabelChoice, choose, softmax_of
from pipeline.grids.fused import FusedRows

_ROWS = 1 << 16  # voxels whose embeddings are in memory at a time


@dataclass(frozen=True)
class LabelsConfig(LabelChoice):
    """The section `labels` of `train`: what the terms of the loss that learn labels learn."""

    source: Literal["adapter", "text"] = "adapter"  # text: the pseudo-labels as they are
    superpoints: Literal["none", "vote", "mean"] = "mean"
    keep_share: float = 0.7
    soft: bool = False  # probabilities in the place of labels


def write_refined_labels(
    config: LabelsConfig,
    scans: Sequence[ScanEntries],
    text: Path,
    adapter: Path,
    out: Path,
    *,
    entry: str = "",
) -> None:
    """Write the labels of all scans into one file, chosen from the adapted embeddings.

    Raises `BadInput` if the adapter cannot be read.
    """

    def choice(scan: ScanEntries, probability: NDArray[np.float32]) -> Chosen:
        return choose(probability, superpoint_of(scan), config)

    write_labels(choice, scans, text, adapter, out, soft=config.soft, entry=entry)


def write_labels(
    choice: Callable[[ScanEntries, NDArray[np.float32]], Chosen],
    scans: Sequence[ScanEntries],
    text: Path,
    adapter: Path,
    out: Path,
    *,
    soft: bool,
    entry: str,
) -> None:
    """Write labels of all scans into one file: `<scan>.label` i16 (V,), -1 = ignored, and
    `<scan>.probability` f16 (V, K), or (V, 0) unless they are `soft`.

    `choice` is given each scan with the probabilities (V, K) of its adapted embeddings. Raises
    `BadInput` if the adapter cannot be read.
    """
    embedding, _ = read_text(text)
    tensors: dict[str, torch.Tensor] = {}
    with reproducible():
        classifier = torch.from_numpy(embedding).to(device())
        fitted, _ = load_adapter(adapter, device())
        for scan in in_order(scans):
            chosen = choice(scan, adapted_probability(fitted, scan, classifier))
            kept = chosen.probability if soft else chosen.probability[:, :0]
            tensors[f"{scan.scan}.label"] = torch.from_numpy(chosen.label)
            tensors[f"{scan.scan}.probability"] = torch.from_numpy(kept.astype(np.float16))
    files.write(out, tensors, {"entry": entry})


def adapted_probability(
    adapter: Adapter, scan: ScanEntries, text: torch.Tensor
) -> NDArray[np.float32]:
    """Class probabilities (V, K) of a scan's adapted embeddings among the classes in its tags.

    `text` (K, d) is on the adapter's device.
    """
    feature, present = FusedRows(read_entry(scan.targets)), scan.present()
    parts = [np.zeros((0, len(text)), np.float32)]
    with torch.no_grad():
        for begin in range(0, feature.shape[0], _ROWS):
            rows = feature[begin : begin + _ROWS]
            logits = adapter.logits(torch.from_numpy(rows).to(text.device), text)
            parts.append(softmax_of(logits.cpu().numpy(), present))
    return np.concatenate(parts)


def superpoint_of(scan: ScanEntries) -> NDArray[np.int32]:
    """The superpoint (V,) of each voxel that has a target."""
    voxel = read_array(read_entry(scan.targets), "voxel").astype(np.int64)
    return read_array(read_entry(scan.voxels), "voxel_segment")[voxel]
