"""The file of a trained network: written by training, read by inference and scoring."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from model.network import files
from model.network.inputs import COLOR_ONLY, in_channels
from model.network.unet import MinkUNet
from pipeline.errors import BadInput

LAST_STEP = "last step; no label took part in the choice"
_METADATA = (
    "variant",
    "seed",
    "classes",
    "head",
    "config",
    "voxel_size",
    "tower",
    "selection",
    "curves",
)


@dataclass(frozen=True)
class ClassifierHead:
    """How outputs F (M, d) become class probabilities (M, K): softmax(F T' / temperature).

    T (K, d) are the text embeddings.
    """

    normalise: bool  # divide each output by its length first, so that logits are cosines
    temperature: float


class Weights(NamedTuple):
    """The weights of a network after one of its steps."""

    tensors: dict[str, torch.Tensor]  # its state
    selection: str  # how the step was chosen


@dataclass(frozen=True)
class Trained:
    """A trained network and how its outputs are classified."""

    variant: str  # of `model.training.variants.VARIANTS`, with `_round<number>`, or supervised
    seed: int
    network: MinkUNet
    text_embeddings: torch.Tensor  # (K, d) float32; the identity for a network with K outputs
    classes: list[str]
    head: ClassifierHead
    config: dict[str, Any]  # the parameters of the run
    voxel_size: float  # metres: of the voxels that the network is given, also in inference
    selection: str  # how the checkpoint was chosen
    curves: dict[str, Any] = field(default_factory=dict)
    # The text tower of its text embeddings: model, pretrained, weights (the digest of local files)
    # and templates. None for a supervised network, and for features that were made elsewhere.
    tower: Mapping[str, Any] | None = None
    rule: str = "last"  # by which its weights were chosen, see `SelectionConfig`
    others: Mapping[str, Weights] = field(default_factory=dict)  # by other rules, if measured
    entry: str = ""  # the identity of the store entry that it is written to
    trained_on: int | None = None  # scans; None in older files
    # Metres: of the voxels that scans are read in, from which those of the network are made. None
    # where they are the same.
    entry_voxel_size: float | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """What each voxel gives it, of `model.network.inputs.CHANNELS`."""
        return _inputs(self.config)

    @property
    def scan_voxel_size(self) -> float:
        """Metres: of the voxels that a scan is to be read in."""
        return self.entry_voxel_size or self.voxel_size

    def save(self, path: Path) -> None:
        """Write everything to one safetensors file."""
        tensors = {
            **files.named("network", self.network.state_dict()),
            "text_embeddings": self.text_embeddings,
        }
        for rule, weights in self.others.items():
            tensors |= files.named(f"by_{rule}", weights.tensors)
        metadata = {
            "entry": self.entry,
            "variant": self.variant,
            "seed": str(self.seed),
            "classes": json.dumps(self.classes),
            "head": json.dumps(vars(self.head), sort_keys=True),
            "config": json.dumps(self.config, sort_keys=True),
            "voxel_size": json.dumps(self.voxel_size),
            "entry_voxel_size": json.dumps(self.entry_voxel_size),
            "trained_on": json.dumps(self.trained_on),
            "tower": json.dumps(self.tower, sort_keys=True),
            "selection": self.selection,
            "curves": json.dumps(self.curves, sort_keys=True),
        }
        if self.others:
            selections = {rule: weights.selection for rule, weights in self.others.items()}
            metadata |= {"rule": self.rule, "others": json.dumps(selections, sort_keys=True)}
        files.write(path, tensors, metadata)


def build_network(
    out_channels: int, sizes: Mapping[str, Any], seed: int, inputs: Collection[str] = COLOR_ONLY
) -> MinkUNet:
    """A network from `inputs` to `out_channels`, its initial weights fixed by the seed.

    `sizes` are the keywords of `MinkUNet` after its channels. Raises `ValueError` for an unknown
    input.
    """
    torch.manual_seed(seed)
    return MinkUNet(in_channels(inputs), out_channels, **sizes)


def _inputs(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The inputs in the parameters of a run; networks of older files take colours only."""
    return tuple(config.get("inputs", COLOR_ONLY))


def load(path: Path, where: torch.device, rule: str | None = None) -> Trained:
    """Read a trained network for inference.

    Its weights are those chosen by `rule`, `last` or `tags`; by that of its config if None. Raises
    `BadInput` for a file that is no network, or one of another version of this project, and if no
    weights were chosen by that rule.
    """
    tensors, metadata = files.read(path)
    missing = [name for name in ("network.head.weight", "text_embeddings") if name not in tensors]
    missing += [name for name in _METADATA if name not in metadata]
    if missing:
        what = f"is no network of this version of the project: it has no {missing[0]}"
        raise BadInput(path, what, "name a network that it trained, or train again")
    config, own = json.loads(metadata["config"]), metadata.get("rule", "last")
    selections = {own: metadata["selection"], **json.loads(metadata.get("others", "{}"))}
    rule = rule or own
    if rule not in selections:
        what = f"has no weights chosen by the rule {rule!r}"
        raise BadInput(path, what, "train again with `selection: {held_out: 0.1}`")
    weights = files.under("network" if rule == own else f"by_{rule}", tensors)
    network = build_network(len(weights["head.weight"]), config["network"], 0, _inputs(config))
    network.load_state_dict(weights)
    return Trained(
        variant=metadata["variant"],
        seed=int(metadata["seed"]),
        network=network.to(where).eval().requires_grad_(False),
        text_embeddings=tensors["text_embeddings"].to(where),
        classes=json.loads(metadata["classes"]),
        head=ClassifierHead(**json.loads(metadata["head"])),
        config=config,
        voxel_size=json.loads(metadata["voxel_size"]),
        entry_voxel_size=json.loads(metadata.get("entry_voxel_size", "null")),
        trained_on=json.loads(metadata.get("trained_on", "null")),
        tower=json.loads(metadata["tower"]),
        selection=selections[rule],
        rule=rule,
        curves=json.loads(metadata["curves"]),
    )


def rules(path: Path) -> list[str]:
    """The rules by which weights in the file of a network were chosen, that of its config first."""
    metadata = files.read_metadata(path)
    return [metadata.get("rule", "last"), *json.loads(metadata.get("others", "{}"))]
