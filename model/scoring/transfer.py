"""A network of one dataset scored on the scans of another: other points, and other classes."""

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
from model.scoring.metrics import confusion
from model.scoring.score import summarise
from pipeline.errors import BadInput
from pipeline.geometry.votes import majority
from pipeline.scan import Cloud

PACKAGES = ("numpy", "open_clip_torch", "spconv-cu120", "torch", "transformers")


def score_transferred(
    network: Path, classes: Sequence[Mapping[str, Any]], scans: Sequence[LabelledScan], split: str
) -> dict[str, Any]:
    """Score a network on scans whose classes, `name` and `prompts`, it was not taught.

    It is read with their text embeddings in the place of its own (Xu et al., ECCV 2024, transfer
    between datasets). The result is one as `evaluate` makes them. Raises `BadInput` where the
    network has no text tower, or the labels are of other classes.
    """
    trained = load(network, device())
    names = [str(c["name"]) for c in classes]
    text = torch.from_numpy(embed(trained, network, [c["prompts"] for c in classes]))
    asked = replace(trained, text_embeddings=text.to(trained.text_embeddings.device), classes=names)
    confusions = {}
    for scan in tqdm(scans, desc="scoring", unit="scan", mininterval=2):
        if scan.classes != names:
            raise BadInput(scan.labels, "labels of other classes than asked for", "run again")
        truth, voxel_of_point = scan.ground_truth()
        label = label_points(asked, read_entry(scan.voxels))
        confusions[scan.scan] = count(truth, label, voxel_of_point, len(names))
    return {
        **summarise(trained.variant, split, names, confusions),
        "seed": trained.seed,
        "selection": trained.selection,
    }


def label_points(trained: Trained, voxels: zarr.Group) -> NDArray[np.int16]:
    """The class of each point (N,) of an entry `voxels`, which may have voxels of any size.

    The points are shown in voxels of the size that the network was trained on.
    """
    cloud = Cloud(*(read_array(voxels, name) for name in ("xyz", "rgb", "normal", "segment")))
    shown = voxelised(cloud, trained.voxel_size)
    return predict(trained, shown).label_of_points(shown)


def count(
    truth: NDArray[np.integer],
    label: NDArray[np.integer],
    voxel_of_point: NDArray[np.integer],
    classes: int,
) -> NDArray[np.int64]:
    """Confusions (2, K, K + 1) over points (N,), and over the dataset's own voxels.

    A voxel is, in truth and as labelled, what most of its points are; -1 is no label.
    """
    voxels = int(voxel_of_point.max(initial=-1)) + 1
    of_truth, of_label = (majority(each, voxel_of_point, voxels) for each in (truth, label))
    over_points = confusion(truth, label, classes)
    return np.stack([over_points, confusion(of_truth, of_label, classes)])


def restricted(result: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """A result on some of its classes: points of others do not count, and labels of others are
    misses. The network's choice stays one among all of its classes.
    """
    kept = [result["classes"].index(name) for name in classes]
    confusions = {}
    for scan, counts in result["scans"].items():
        of_kept = np.asarray(counts, np.int64)[:, kept]
        missed = of_kept.sum(axis=2) - of_kept[:, :, kept].sum(axis=2)
        confusions[scan] = np.concatenate([of_kept[:, :, kept], missed[:, :, None]], axis=2)
    return {**result, **summarise(result["row"], result["split"], classes, confusions)}
