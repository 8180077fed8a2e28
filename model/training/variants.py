"""The variants of weakly supervised training: what each changes in the configured recipe.

Nothing here imports torch, so that a plan can ask which entries a variant reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# 3DSS-VLG as published (Xu et al., ECCV 2024, and its release). Sizes of the network, voxels, steps
# and batches stay those of the config, so that variants have equal budgets.
PAPER: dict[str, Any] = {
    "inputs": ["color"],
    "network": {"head": []},
    "optimiser": {
        "name": "adam",
        "lr": 1e-3,
        "weight_decay": 0.0,
        "schedule": "poly",
        "warm_up": 0.0,
        "clip": None,
    },
    "loss": {"cosine": 1.0, "text": 0.0, "balance": False},
    "adapter": {"preset": "paper"},
    "labels": {"source": "text"},
}


@dataclass(frozen=True)
class Variant:
    """A variant of the method."""

    specialised: bool  # whether embeddings are specialised (ESS) before they guide (ESGS)
    changes: Mapping[str, Any] = field(default_factory=dict)  # to the section `train`


VARIANTS = {
    "esgs": Variant(specialised=False),
    "ess_esgs": Variant(specialised=True),
    "paper_esgs": Variant(specialised=False, changes=PAPER),
    "paper_ess_esgs": Variant(specialised=True, changes=PAPER),
}


def settings(variant: str, train: Mapping[str, Any]) -> dict[str, Any]:
    """The section `train` as a variant has it: its changes go over the configured sections.

    The loss is replaced as a whole. Raises `KeyError` for an unknown variant.
    """
    changed = dict(train)
    for name, change in VARIANTS[variant].changes.items():
        if isinstance(change, Mapping) and name != "loss":
            changed[name] = {**(train.get(name) or {}), **change}
        else:
            changed[name] = change
    return changed


def refined(variant: str, train: Mapping[str, Any]) -> bool:
    """Whether a variant learns labels that are chosen from adapted embeddings."""
    labels = settings(variant, train).get("labels") or {}
    return VARIANTS[variant].specialised and labels.get("source") == "adapter"
