"""Inference with a trained network: no image, no scene label, one deterministic pass."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
import zarr
from numpy.typing import NDArray

from model.data.augment import rotate_about_vertical
from model.data.dataset import batch_indices
from model.data.entries import read_array, voxel_size
from model.data.samples import unit_colors, voxelise
from model.network.device import reproducible
from model.network.trained import Trained

_ROWS = 1 << 16  # voxels whose embeddings are in memory at once


@dataclass(frozen=True)
class Prediction:
    """The classes of one scan's voxels."""

    label: NDArray[np.int16]  # (M,) most probable class
    confidence: NDArray[np.float32]  # (M,) its probability
    probability: NDArray[np.float32]  # (M, K)

    def label_of_points(self, voxels: zarr.Group) -> NDArray[np.int16]:
        """The class of each point (N,): that of its voxel."""
        return self.label[read_array(voxels, "voxel_of_point")]


def predict(trained: Trained, voxels: zarr.Group, rotations: int = 1) -> Prediction:
    """Classify the voxels of a scan.

    With `rotations` > 1 the probabilities are averaged over that many turns about the vertical,
    evenly spaced: test-time augmentation, still deterministic, and to be reported apart.
    """
    coords, rgb = _read(voxels)
    xyz, size = read_array(voxels, "voxel_xyz"), voxel_size(voxels)
    with reproducible(), torch.no_grad():
        total = _probability(trained, coords, rgb)
        for turn in range(1, rotations):
            moved = rotate_about_vertical(xyz, 2 * np.pi * turn / rotations)
            turned, voxel_of = voxelise(moved - moved.min(axis=0), size)
            count = np.bincount(voxel_of)
            mean = np.column_stack([np.bincount(voxel_of, channel) / count for channel in rgb.T])
            total += _probability(trained, turned, mean.astype(np.float32))[voxel_of]
    probability = (total / rotations).cpu().numpy()
    label = probability.argmax(axis=1)
    confidence = np.take_along_axis(probability, label[:, None], axis=1)[:, 0]
    return Prediction(label.astype(np.int16), confidence, probability)


def query(trained: Trained, voxels: zarr.Group, text: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine (M, Q) of each voxel's embedding with text embeddings (Q, d) of unit length.

    Raises `ValueError` for a network without text embeddings (the ceiling), and for text of
    another width.
    """
    if not trained.readout.normalise or text.shape[1] != trained.text.shape[1]:
        raise ValueError("this network does not speak the language of these text embeddings")
    wanted = torch.from_numpy(text.astype(np.float32)).to(trained.text.device)
    with reproducible(), torch.no_grad():
        trunk = _trunk(trained, *_read(voxels))
        parts = [
            F.normalize(trained.network.head(rows), dim=1) @ wanted.T for rows in trunk.split(_ROWS)
        ]
    return torch.cat(parts).cpu().numpy()


def _read(voxels: zarr.Group) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Voxel coordinates (M, 3) and colours (M, 3) in [-1, 1]."""
    return read_array(voxels, "coords"), unit_colors(read_array(voxels, "voxel_rgb"))


def _trunk(trained: Trained, coords: NDArray[np.int32], rgb: NDArray[np.float32]) -> torch.Tensor:
    device = trained.text.device
    indices = batch_indices([coords]).to(device)
    return trained.network.trunk(torch.from_numpy(rgb).to(device), indices)


def _probability(
    trained: Trained, coords: NDArray[np.int32], rgb: NDArray[np.float32]
) -> torch.Tensor:
    """Class probabilities (M, K) of voxels (M, 3) with colours (M, 3) in [-1, 1]."""
    readout, parts = trained.readout, []
    for rows in _trunk(trained, coords, rgb).split(_ROWS):
        vector = trained.network.head(rows)
        if readout.normalise:
            vector = F.normalize(vector, dim=1)
        parts.append(torch.softmax(vector @ trained.text.T / readout.temperature, dim=1))
    return torch.cat(parts)
