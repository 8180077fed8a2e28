"""The embeddings of a scan's voxels by one network, compact, and how well words fit them."""

from dataclasses import dataclass

import numpy as np
import torch
import zarr
from numpy.typing import NDArray

from model.data.dataset import batch_indices
from model.data.whole_scan import WholeScan, whole_scan
from model.inference.pieces import in_pieces
from model.network.device import reproducible
from model.network.trained import Trained

_ROWS = 1 << 16  # voxels whose embeddings are in memory at a time


@dataclass(frozen=True)
class Embedded:
    """Embeddings f = W h + b of m voxels, kept as h, which is much shorter, and the length of f.

    With them cos(f, t) = (h Wᵗ t + b t) / |f| is exact, and takes w products instead of d a voxel.
    """

    hidden: NDArray[np.float32]  # (m, w) what the last layer of the network is given
    length: NDArray[np.float32]  # (m,) of f
    weight: NDArray[np.float32]  # (d, w)
    bias: NDArray[np.float32]  # (d,)
    voxel_of: NDArray[np.integer]  # (M,) the one of m that each voxel of the scan falls into

    def cosine(self, text: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine (m, Q) with text embeddings (Q, d) of unit length."""
        product = self.hidden @ (self.weight.T @ text.T) + self.bias @ text.T
        return product / self.length[:, None]


def embedded(trained: Trained, voxels: zarr.Group, most: int | None = None) -> Embedded:
    """A network over an entry `voxels`, in pieces as in `model.inference.predict.query`.

    Raises `ValueError` for a network whose outputs are no embeddings (a supervised one).
    """
    if not trained.head.normalise:
        raise ValueError("the network does not predict embeddings")
    given = whole_scan(voxels, trained.inputs, trained.voxel_size)
    with reproducible(), torch.no_grad():
        found = in_pieces(given, most, lambda part: _hidden(trained, part))
    head = trained.network.head
    return Embedded(
        hidden=np.ascontiguousarray(found[:, :-1]),
        length=np.maximum(found[:, -1], 1e-12),
        weight=head.weight.cpu().numpy(),
        bias=head.bias.cpu().numpy(),
        voxel_of=given.voxel_of,
    )


def _hidden(trained: Trained, given: WholeScan) -> torch.Tensor:
    """What the last layer is given, and the length of what it makes of it: (m, w + 1)."""
    where, network = trained.text_embeddings.device, trained.network
    indices = batch_indices([given.coords]).to(where)
    hidden = network.trunk(torch.from_numpy(given.inputs).to(where), indices)
    rows = hidden.split(_ROWS)
    length = [torch.linalg.vector_norm(network.head(each), dim=1) for each in rows]
    return torch.cat([hidden, torch.cat(length)[:, None]], dim=1)


def quantised(cosine: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float, float]:
    """Cosines (m,) in 8 bits, and what 0 and 255 stand for; off by (high - low) / 510 at most."""
    low, high = float(cosine.min()), float(cosine.max())
    share = (cosine - low) / max(high - low, 1e-9)
    return np.rint(255 * share).astype(np.uint8), low, high
