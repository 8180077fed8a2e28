"""The file of a trained network: written by training, read by inference and scoring."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from model.network import files, metadata
from model.network.inputs import COLOR_ONLY, in_channels
from model.network.tensors import require_text
from model.network.unet import MinkUNet
from model.network.weights import network_of
from pipeline.errors import BadInput
from pipeline.foreign import one_line

LAST_STEP = "last step; no label took part in the choice"


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
        return tuple(self.config.get("inputs", COLOR_ONLY))

    @property
    def scan_voxel_size(self) -> float:
        """Metres: of the voxels that a scan is to be read in."""
        return self.entry_voxel_size or self.voxel_size

    def save(self, path: Path) -> None:
        """Write everything to one safetensors file."""
        files.write(path, *self.content())

    def content(self) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        """The tensors and texts of its file."""
        tensors = {
            **files.named("network", self.network.state_dict()),
            "text_embeddings": self.text_embeddings,
        }
        for rule, weights in self.others.items():
            tensors |= files.named(f"by_{rule}", weights.tensors)
        texts = {
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
            texts |= {"rule": self.rule, "others": json.dumps(selections, sort_keys=True)}
        return tensors, texts


def build_network(
    out_channels: int, sizes: Mapping[str, Any], seed: int, inputs: Collection[str] = COLOR_ONLY
) -> MinkUNet:
    """A network from `inputs` to `out_channels`, its initial weights fixed by the seed.

    `sizes` are the keywords of `MinkUNet` after its channels. Raises `ValueError` for an unknown
    input.
    """
    torch.manual_seed(seed)
    return MinkUNet(in_channels(inputs), out_channels, **sizes)


def load(path: Path, where: torch.device, rule: str | None = None) -> Trained:
    """Read a trained network for inference.

    Its weights are those chosen by `rule`, `last` or `tags`; by that of its config if None. All
    that the file says is checked. Raises `BadInput` for a file that is no network, is damaged, or
    is of another version of this project, and if no weights were chosen by that rule.
    """
    tensors, texts = files.read(path)
    try:
        return _trained(tensors, metadata.said(texts), where, rule)
    except _OtherRule as error:
        what = f"has no weights chosen by the rule {rule!r}"
        raise BadInput(path, what, "train again with `selection: {held_out: 0.1}`") from error
    except (ValueError, RuntimeError) as error:  # torch's: sizes that overflow
        what = f"is no network of this version of the project: {one_line(error)}"
        raise BadInput(path, what, "name a network that it trained, or train again") from error


class _OtherRule(Exception):
    pass


def _trained(
    tensors: Mapping[str, torch.Tensor],
    said: metadata.Said,
    where: torch.device,
    rule: str | None,
) -> Trained:
    rule = rule or said.rule
    if rule not in said.selections:
        raise _OtherRule
    own = "network" if rule == said.rule else f"by_{rule}"
    parts = {"network", *(f"by_{other}" for other in said.selections)}
    surplus = [n for n in tensors if n != "text_embeddings" and n.partition(".")[0] not in parts]
    for name in surplus[:1]:
        raise ValueError(f"it has a tensor {name[:60]!r}")
    for name in ("text_embeddings", f"{own}.head.weight"):
        if name not in tensors or tensors[name].ndim != 2:
            raise ValueError(f"it has no {name}")
    text = tensors["text_embeddings"]
    require_text(text, len(said.classes), said.normalise)
    weights = files.under(own, tensors)
    network = network_of(weights, said.config.get("network"), said.inputs, text.shape[1])
    return Trained(
        variant=said.variant,
        seed=said.seed,
        network=network.to(where).eval().requires_grad_(False),
        text_embeddings=text.float().to(where),
        classes=said.classes,
        head=ClassifierHead(said.normalise, said.temperature),
        config=said.config,
        voxel_size=said.voxel_size,
        entry_voxel_size=said.entry_voxel_size,
        trained_on=said.trained_on,
        tower=said.tower,
        selection=said.selections[rule],
        rule=rule,
        curves=said.curves,
    )


def rules(path: Path) -> list[str]:
    """The rules by which weights in the file of a network were chosen, that of its config first."""
    try:
        return metadata.rules(files.read_metadata(path))
    except ValueError as error:
        what = f"is no network of this version of the project: {one_line(error)}"
        raise BadInput(path, what, "name a network that it trained, or train again") from error
