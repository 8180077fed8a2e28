"""Counts of a network of one dataset on the scans of another: other points and other classes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from tqdm import tqdm

from model.data.entries import read_array, read_entry
from model.data.labels import LabelledScan
from model.inference.predict import predict
from model.inference.unseen import embed, voxelised
from model.network.device import device
from model.network.trained import Trained, load
from model.scoring.counting import confusion
from model.scoring.results import Result, as_result
from pipeline.errors import BadInput
from pipeline.geometry.votes import majority
from pipeline.scan import Cloud

PACKAGES = ("numpy", "open_clip_torch", "spconv-cu120", "torch", "transformers")


def evaluate_transferred(
    network: Path, classes: Sequence[Mapping[str, Any]], scans: Sequence[LabelledScan], split: str
) -> Result:
    """Count a network's labels on scans of `classes` (`name` and `prompts`) that it never learnt.

    The text embeddings of these classes take the place of its own (Xu et al., ECCV 2024, transfer
    between datasets). The result is as `evaluate_network` makes it. Raises `BadInput` where the
    network has no text tower, or the labels are of other classes.
    """
    trained = load(network, device())
    names = [str(c["name"]) for c in classes]
    text = torch.from_numpy(embed(trained, network, [c["prompts"] for c in classes]))
    renamed = replace(
        trained, text_embeddings=text.to(trained.text_embeddings.device), classes=names
    )
    confusions = {}
    for scan in tqdm(scans, desc="scoring", unit="scan", mininterval=2):
        if scan.classes != names:
            what = "labels of other classes than the dataset's"
            raise BadInput(scan.labels, what, "run snakemake again")
        truth, voxel_of_point = scan.ground_truth()
        label = label_points(renamed, read_entry(scan.voxels))
        confusions[scan.scan] = _count(truth, label, voxel_of_point, len(names))
    return {
        **as_result(trained.variant, split, names, confusions),
        "seed": trained.seed,
        "selection": trained.selection,
    }


def label_points(trained: Trained, voxels: zarr.Group) -> NDArray[np.int16]:
    """The class of each point (N,) of an entry `voxels`, which may have voxels of any size.

    The points are read in voxels of the size of the network's training entries.
    """
    cloud = Cloud(*(read_array(voxels, name) for name in ("xyz", "rgb", "normal", "segment")))
    given = voxelised(cloud, trained.scan_voxel_size)
    return predict(trained, given).label_of_points(given)


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
