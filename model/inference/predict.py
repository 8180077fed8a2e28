"""Inference with a trained network: one deterministic pass, without images and scene tags."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
import zarr
from numpy.typing import NDArray

from model.data.entries import read_array
from model.data.whole_scan import WholeScan, outputs, whole_scan
from model.inference.pieces import in_pieces
from model.network.device import reproducible
from model.network.trained import Trained
from pipeline.geometry.votes import mean_over


@dataclass(frozen=True)
class Prediction:
    """The classes of the M voxels of one scan, out of K."""

    label: NDArray[np.int16]  # (M,) most probable class
    confidence: NDArray[np.float32]  # (M,) its probability
    probability: NDArray[np.float32]  # (M, K)

    @classmethod
    def of(cls, probability: NDArray[np.float32]) -> "Prediction":
        """The most probable classes, by class probabilities (M, K)."""
        label = probability.argmax(axis=1)
        confidence = np.take_along_axis(probability, label[:, None], axis=1)[:, 0]
        return cls(label.astype(np.int16), confidence, probability)

    def voted(self, superpoint: NDArray[np.integer]) -> "Prediction":
        """The same with the mean of the class probabilities over each superpoint.

        `superpoint` (M,) is that of each voxel; a voxel without one (-1) keeps its own.
        """
        return Prediction.of(mean_over(self.probability, superpoint))

    def label_of_points(self, voxels: zarr.Group) -> NDArray[np.int16]:
        """The class of each point (N,), which is that of its voxel."""
        return self.label[read_array(voxels, "voxel_of_point")]


def predict(trained: Trained, voxels: zarr.Group, most: int | None = None) -> Prediction:
    """Classify the M voxels of an entry `voxels`.

    If the network takes voxels of another size, each gets the class of the one that it falls into.
    A scan of more than `most` of the network's voxels is labelled in pieces (see `pieces`).
    """
    given = whole_scan(voxels, trained.inputs, trained.voxel_size)
    with reproducible(), torch.no_grad():
        found = in_pieces(given, most, lambda part: _probability(trained, part))
    return Prediction.of(found[given.voxel_of])


def query(
    trained: Trained, voxels: zarr.Group, text: NDArray[np.float32], most: int | None = None
) -> NDArray[np.float32]:
    """Cosine (M, Q) of each voxel's embedding with text embeddings (Q, d) of unit length.

    In pieces as `predict`. Raises `ValueError` for a network whose outputs are no embeddings (a
    supervised one), and for text of another width.
    """
    if not trained.head.normalise or text.shape[1] != trained.text_embeddings.shape[1]:
        raise ValueError("the network does not predict embeddings like these text embeddings")
    wanted = torch.from_numpy(text.astype(np.float32)).to(trained.text_embeddings.device)
    given = whole_scan(voxels, trained.inputs, trained.voxel_size)
    with reproducible(), torch.no_grad():
        found = in_pieces(given, most, lambda part: _cosine(trained, part, wanted))
    return found[given.voxel_of]


def _cosine(trained: Trained, given: WholeScan, text: torch.Tensor) -> torch.Tensor:
    """Cosines (m, Q) of the voxels that the network is given with text embeddings (Q, d)."""
    found = outputs(trained.network, given, text.device)
    return torch.cat([F.normalize(rows, dim=1) @ text.T for rows in found])


def _probability(trained: Trained, given: WholeScan) -> torch.Tensor:
    """Class probabilities (m, K) of the voxels that the network is given."""
    text, parts = trained.text_embeddings, []
    for vector in outputs(trained.network, given, text.device):
        if trained.head.normalise:
            vector = F.normalize(vector, dim=1)
        parts.append(torch.softmax(vector @ text.T / trained.head.temperature, dim=1))
    return torch.cat(parts)
