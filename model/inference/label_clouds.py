"""Labelled clouds: the points of a scan with the classes that a network predicts."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray

from model.data.entries import read_array
from model.inference.ply import write_labels
from model.inference.predict import Prediction, predict
from model.inference.regions import connected_regions
from model.network.trained import Trained
from pipeline.palette import palette

PACKAGES = ("matplotlib", "numpy", "plyfile", "scipy", "spconv-cu120", "torch")


def write_labelled_cloud(
    path: Path,
    trained: Trained,
    voxels: zarr.Group,
    colors: Mapping[str, str] | None = None,
    votes: bool = False,
    most: int | None = None,
) -> Prediction:
    """Write the points of an entry `voxels` with their classes; return the classes of its voxels.

    `colors` (`#aec7e8`) are by class, for some or all of them. With `votes`, class probabilities
    are averaged in superpoints. `most` is that of `predict`. Raises `BadInput` if the file cannot
    be written.
    """
    found = predict(trained, voxels, most)
    if votes:
        found = found.voted(read_array(voxels, "voxel_segment"))
    segment = connected_regions(read_array(voxels, "coords"), found.label)
    of_point = read_array(voxels, "voxel_of_point")
    write_labels(
        path,
        read_array(voxels, "xyz"),
        found.label[of_point],
        found.confidence[of_point],
        segment[of_point],
        trained.classes,
        palette(trained.classes, colors),
        *placed(voxels),
    )
    return found


def placed(voxels: zarr.Group) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """`offset` and `left_out` of the cloud that an entry `voxels` was made of."""
    return np.array(voxels.attrs["offset"], np.float64), read_array(voxels, "left_out")
