"""What a trained network needs for what it was not taught with: other words, and other clouds."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import zarr
from numpy.typing import NDArray

from model.network.trained import Trained
from pipeline.errors import BadInput
from pipeline.plan.rawdata import weights_digest
from pipeline.scan import Cloud
from pipeline.stages.voxels import Stage


def voxelised(cloud: Cloud, voxel_size: float) -> zarr.Group:
    """What the stage `voxels` makes of a cloud, in memory; `voxel_size` in metres."""
    group = zarr.group(zarr.storage.MemoryStore())
    Stage({"voxel_size": voxel_size})(group, cloud)
    return group


def embed(trained: Trained, network: Path, prompts: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """The embeddings (Q, d), each the mean of its prompts, by the tower that taught the network.

    Raises `BadInput` where it has none, or its weights are no longer those.
    """
    tower = trained.tower
    if tower is None:
        dense = not trained.readout.normalise
        why = "dense labels taught it" if dense else "features made elsewhere taught it"
        what = f"has no text tower ({why}), so that no other words can be put to it"
        raise BadInput(network, what, "take a network that was taught with a CLIP model")
    from pipeline.clip.models import load_text_tower  # heavy, and seldom needed
    from pipeline.clip.prompts import ensemble, templates_of

    model, pretrained, templates = (tower[key] for key in ("model", "pretrained", "templates"))
    with TemporaryDirectory() as records:  # its weights are read once more, not believed
        digest = weights_digest({"model": model, "pretrained": pretrained}, Path(records))
    if digest != tower["weights"]:
        what = "holds other weights than those that the network was taught with"
        raise BadInput(model, what, "restore them, or train anew")
    loaded = load_text_tower(model, pretrained)
    sentences = templates_of(templates)
    return np.stack([ensemble(loaded, words, sentences) for words in prompts])
