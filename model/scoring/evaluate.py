"""Scores of a trained network on held-out scans."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from model.data.entries import read_entry
from model.data.labels import LabelledScan
from model.inference.predict import predict
from model.network.device import device
from model.network.trained import load
from model.scoring.score import count, summarise
from pipeline.errors import BadInput

PACKAGES = ("numpy", "spconv-cu120", "torch")


def evaluate_network(network: Path, scans: Sequence[LabelledScan], split: str) -> dict[str, Any]:
    """Run the network over the scans and score it on points and on voxels, by every protocol.

    The network sees voxels only. Raises `BadInput` if its classes are not those of the labels.
    """
    trained = load(network, device())
    confusions = {}
    for scan in tqdm(scans, desc="scoring", unit="scan", mininterval=2):
        if scan.classes != trained.classes:
            raise BadInput(scan.labels, "labels of other classes than the network's", "train anew")
        label = predict(trained, read_entry(scan.voxels)).label
        confusions[scan.scan] = count(scan, label, len(trained.classes))
    return {
        **summarise(trained.variant, split, trained.classes, confusions),
        "seed": trained.seed,
        "selection": trained.selection,
    }
