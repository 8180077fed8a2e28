"""Counts of a network of one dataset on the scans of another: other points and other classes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from numpy.typing import NDArray

from model.data.entries import read_array, read_entry
from model.data.labels import LabelledScan
from model.inference.predict import Prediction, predict
from model.inference.unseen import embed, voxelised
from model.network.device import device
from model.network.trained import Trained, load
from model.scoring.counting import confusion, have_superpoints
from model.scoring.evaluate import network_results
from model.scoring.results import VOTED, Result
from pipeline.errors import BadInput
from pipeline.geometry.votes import majority
from pipeline.progress import Progress
from pipeline.scan import Cloud

PACKAGES = ("numpy", "open_clip_torch", "spconv-cu120", "torch", "transformers")


def evaluate_transferred(
    network: Path,
    classes: Sequence[Mapping[str, Any]],
    scans: Sequence[LabelledScan],
    split: str,
) -> list[Result]:
    """Count a network's labels on scans of `classes` (`name` and `prompts`) that it never learnt.

    The text embeddings of these classes take the place of its own (Xu et al., ECCV 2024, transfer
    between datasets). The results are as `evaluate_network` makes them without images. Raises
    `BadInput` where the network has no text tower, or the labels are of other classes.
    """
    trained = load(network, device())
    names = [str(c["name"]) for c in classes]
    text = torch.from_numpy(embed(trained, network, [c["prompts"] for c in classes]))
    renamed = replace(
        trained, text_embeddings=text.to(trained.text_embeddings.device), classes=names
    )
    votes = have_superpoints(scans)
    rows: dict[str, dict[str, NDArray[np.int64]]] = {}
    for scan in Progress(scans, "scoring", unit="scan"):
        if scan.classes != names:
            what = "labels of other classes than the dataset's"
            raise BadInput(scan.labels, what, "run snakemake again")
        truth, voxel_of_point = scan.ground_truth()
        found, voxels = predict_resized(renamed, read_entry(scan.voxels))
        predictions = {"": found}
        if votes:
            predictions[VOTED] = found.voted(read_array(voxels, "voxel_segment"))
        for end, each in predictions.items():
            counts = _count(truth, each.label_of_points(voxels), voxel_of_point, len(names))
            rows.setdefault(end, {})[scan.scan] = counts
    return network_results(renamed, split, rows)


def predict_resized(trained: Trained, voxels: zarr.Group) -> tuple[Prediction, zarr.Group]:
    """Classify the points of an entry `voxels`, which may have voxels of any size.

    The points are read in voxels of the size of the network's training entries: the prediction is
    for those, and they are returned with it.
    """
    cloud = Cloud(*(read_array(voxels, name) for name in ("xyz", "rgb", "normal", "segment")))
    given = voxelised(cloud, trained.scan_voxel_size)
    return predict(trained, given), given


def _count(
    truth: NDArray[np.integer],
    label: NDArray[np.integer],
    voxel_of_point: NDArray[np.integer],
    classes: int,
) -> NDArray[np.int64]:
    """Confusion matrices (2, K, K + 1) over points (N,), and over the dataset's own voxels.

    The true class of a voxel, and its label, are those of most of its points; -1 is none.
    """
    voxels = int(voxel_of_point.max(initial=-1)) + 1
    of_truth, of_label = (majority(each, voxel_of_point, voxels) for each in (truth, label))
    over_points = confusion(truth, label, classes)
    return np.stack([over_points, confusion(of_truth, of_label, classes)])
