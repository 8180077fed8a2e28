"""New input for a trained network: other scans, and classes or queries in other words."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import zarr
from numpy.typing import NDArray

from model.network.trained import Trained
from pipeline.errors import BadInput
from pipeline.plan.weights import weights_digest
from pipeline.scan import Cloud
from pipeline.stages.voxels import Worker

Embedder = Callable[[Sequence[Sequence[str]]], NDArray[np.float32]]  # prompts -> (Q, d)


def voxelised(cloud: Cloud, voxel_size: float) -> zarr.Group:
    """The entry that the stage `voxels` makes of a cloud, in memory; `voxel_size` in metres."""
    group = zarr.group(zarr.storage.MemoryStore())
    Worker({"voxel_size": voxel_size})(group, cloud)
    return group


def embed(trained: Trained, network: Path, prompts: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """Text embeddings (Q, d) of unit length, each of several prompts, by the network's text tower.

    Raises as `embedder` does.
    """
    return embedder(trained, network)(prompts)


def embedder(trained: Trained, network: Path) -> Embedder:
    """What embeds as `embed` does, for many calls: the text tower is loaded once.

    Raises `BadInput` if the network has no text tower, or the tower's weights have changed.
    """
    tower = trained.tower
    if tower is None:
        supervised = not trained.head.normalise
        source = "dense labels" if supervised else "features that were made elsewhere"
        what = f"has no text tower, since it was trained with {source}"
        raise BadInput(network, what, "take a network that was trained with a CLIP model")
    from pipeline.clip.models import load_text_tower  # slow to import
    from pipeline.clip.prompts import ensemble, templates_of

    model, pretrained, templates = (tower[key] for key in ("model", "pretrained", "templates"))
    with TemporaryDirectory() as records:  # without records, so that the weights are hashed
        digest = weights_digest({"model": model, "pretrained": pretrained}, Path(records))
    if digest != tower["weights"]:
        what = "has other weights than those that the network was trained with"
        raise BadInput(model, what, "restore them, or train again")
    loaded = load_text_tower(model, pretrained)
    sentences = templates_of(templates)

    def embedded(prompts: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        return np.stack([ensemble(loaded, words, sentences) for words in prompts])

    return embedded
