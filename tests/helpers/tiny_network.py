"""Networks with initial weights, with or without a text tower."""

from pathlib import Path

import numpy as np
import torch

from model.network.trained import LAST_STEP, ClassifierHead, Trained, build_network
from pipeline.clip.prompts import ensemble
from pipeline.clip.text_tower import load_text_tower
from pipeline.plan.weights import weights_digest
from tests.helpers.tiny_entries import CLASSES, SMALL_NETWORK, VOXEL_SIZE, WIDTH

TEMPLATES = ["a {}", "the {}"]


def network(folder: Path, clip: str | None, variant: str = "ess_esgs", **tower: str) -> Path:
    """Write a network with the text embeddings of `clip`, or without a text tower if None.

    `tower` replaces what its metadata say about the text tower.
    """
    path = folder / f"{variant}.safetensors"
    supervised = variant == "supervised"
    text = torch.eye(len(CLASSES))
    known = None
    if clip:
        loaded = load_text_tower(clip, None)
        text = torch.from_numpy(np.stack([ensemble(loaded, [c], TEMPLATES) for c in CLASSES]))
        digest = weights_digest({"model": clip, "pretrained": None}, folder)
        known = {"model": clip, "pretrained": None, "weights": digest, "templates": TEMPLATES}
        known |= tower
    elif not supervised:
        text = torch.eye(len(CLASSES), WIDTH)
    Trained(
        variant=variant,
        seed=0,
        network=build_network(text.shape[1], SMALL_NETWORK, 0),
        text_embeddings=text,
        classes=CLASSES,
        head=ClassifierHead(normalise=not supervised, temperature=1.0 if supervised else 0.05),
        config={"network": SMALL_NETWORK},
        voxel_size=VOXEL_SIZE,
        tower=known,
        selection=LAST_STEP,
    ).save(path)
    return path
