"""Stores -> trained 3D network -> scores. `load` reads a network for labels and queries."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.inference.network import Network


def load(
    source: str | os.PathLike[str],
    tower: str | os.PathLike[str] | None = None,
    max_voxels: int | None = None,
) -> "Network":
    """Read a trained network: a .safetensors file, a release folder, or owner/name of the hub.

    See `model.inference.network.load`, which is imported here and no sooner.
    """
    from model.inference.network import MOST_VOXELS, load

    return load(source, tower, MOST_VOXELS if max_voxels is None else max_voxels)
