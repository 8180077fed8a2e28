"""Counts of a trained network on labelled scans that it was not trained on."""

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from model.data.entries import read_entry
from model.data.labels import LabelledScan
from model.inference.predict import predict
from model.network.device import device
from model.network.trained import load
from model.scoring.counting import count
from model.scoring.results import Result, as_result
from pipeline.errors import BadInput

PACKAGES = ("numpy", "spconv-cu120", "torch")


def evaluate_network(network: Path, scans: Sequence[LabelledScan], split: str) -> Result:
    """Run the network on the scans and count its labels over points and over voxels.

    The network sees voxels only. Raises `BadInput` where the network was trained for other
    classes than the labels'.
    """
    trained = load(network, device())
    confusions = {}
    for scan in tqdm(scans, desc="scoring", unit="scan", mininterval=2):
        if scan.classes != trained.classes:
            what = "labels of other classes than the network's"
            raise BadInput(scan.labels, what, "train the network again")
        label = predict(trained, read_entry(scan.voxels)).label
        confusions[scan.scan] = count(scan, label, len(trained.classes))
    return {
        **as_result(trained.variant, split, trained.classes, confusions),
        "seed": trained.seed,
        "selection": trained.selection,
    }
