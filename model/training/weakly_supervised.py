"""Weakly supervised training: embeddings soft guidance (ESGS), with or without specialisation.

3DSS-VLG (Xu et al., ECCV 2024). A sparse 3D network learns the fused 2D embeddings of the voxels,
as they are (`esgs`) or adapted to the pseudo-labels (`ess_esgs`), by the configured recipe or as
published (`paper_esgs`, `paper_ess_esgs`). No dense label can reach it: `ScanEntries` names no
entry that has one, and the module that reads them is not imported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from model.data.dataset import Batch
from model.data.entries import ScanEntries, read_entry, read_text, voxel_size
from model.data.scans import count_labels, in_order
from model.network.adapter import Adapter, load_adapter
from model.network.device import device, reproducible
from model.network.inputs import COLOR_ONLY
from model.network.trained import ClassifierHead, Trained, build_network
from model.training import ranks, rows, variants
from model.training.loop import Run, fit
from model.training.objective import LossConfig, Objective, loss_config
from model.training.ranks import Mean
from model.training.rows import Lazy
from model.training.selection import Selection, SelectionConfig, hold_out
from model.training.variants import VARIANTS
from pipeline.errors import BadInput
from pipeline.grids.fused import FusedRows

PACKAGES = ("numpy", "scipy", "spconv-cu120", "torch")


def train_weakly_supervised(
    params: Mapping[str, Any],
    variant: str,
    seed: int,
    scans: Sequence[ScanEntries],
    text: Path,
    out: Path,
    scratch: Path,
    *,
    parts: Mapping[str, ModuleType],
    round_number: int = 0,  # of self-training; 0: the first training
    adapter: Path | None = None,
    tower: Mapping[str, Any] | None = None,
    entry: str = "",
    workers: int = 0,
    checkpoint_every: int = 200,
    log: Path | None = None,
) -> None:
    """Train one network and write it to `out`.

    `params` is the section `train` of the config; the variant's changes go over it
    (`model.training.variants`). It has `inputs` (of `model.network.inputs.CHANNELS`; colours if
    left out), `voxel_size` (the network's in metres; that of the scans if None or left out),
    `network` (keywords of `MinkUNet`), `optimiser` (`OptimiserConfig`), `augment`
    (`Augmentation`), `loss` (weights of terms, and settings of `LossConfig`), `max_voxels` (of one
    scan in a step, or None) and `selection` (`SelectionConfig`; left out, no scan is held out).
    `parts` are the modules of the loss terms, by the names in `model.training.losses.module_names`.
    `adapter` is the file of the adapter that specialises embeddings, None in variants without.
    `entry` and the text `tower` are written into the file. A run that was killed resumes from the
    checkpoint in `scratch` and ends, on a CPU, with the same bytes. In the folder `log`, which is
    of this run alone, it can be watched (`model.training.watch`). Of several processes
    (`model.training.ranks`) the first one writes.

    Raises `BadInput` if text and targets differ in width, the variant has no loss term, the adapter
    cannot be read or no scan can be held out that `selection` asks for, and `ValueError` for an
    unknown variant or without any scan.
    """
    if variant not in VARIANTS:
        raise ValueError(f"{variant!r} is none of {list(VARIANTS)}")
    params, scans = variants.settings(variant, params), in_order(scans)
    embedding, classes = read_text(text)
    width = FusedRows(read_entry(scans[0].targets)).shape[1]
    if width != embedding.shape[1]:
        raise BadInput(
            text,
            f"text embeddings of width {embedding.shape[1]} for targets of width {width}",
            "make both with the same model",
        )
    config = _loss_of(variant, params["loss"], parts)
    entry_voxel_size = voxel_size(read_entry(scans[0].voxels))
    own_voxel_size = params.get("voxel_size") or entry_voxel_size
    choice = SelectionConfig(**params.get("selection", {}))
    scans, held_out = hold_out(choice, scans, seed)
    scratch.mkdir(parents=True, exist_ok=True)
    run = Run(variant, seed, params, scans, scratch, workers, checkpoint_every, log)
    curves: dict[str, Any] = {}
    with reproducible():
        classifier = torch.from_numpy(embedding).to(device())
        specialise = None
        if adapter is not None:
            specialise, curves["adapter"] = load_adapter(adapter, device())
        counts = ranks.total_counts(count_labels(ranks.own(scans), len(classes)), device())
        objective = Objective(config, parts, classifier, counts)

        def terms(output: Lazy, batch: Batch) -> dict[str, Mean]:
            return objective(output, specialised(batch.feature, specialise), batch)

        inputs = params.get("inputs", COLOR_ONLY)
        network = build_network(width, params["network"], seed, inputs).to(device())
        selection = Selection(choice, held_out, classifier, inputs, own_voxel_size)
        curves |= fit(run, network, terms, selection)
    chosen, others = selection.choose(network)
    if held_out:
        curves["selection"] = selection.curve
    trained = Trained(
        variant=f"{variant}_round{round_number}" if round_number else variant,
        seed=seed,
        entry=entry,
        network=network,
        text_embeddings=classifier,
        classes=classes,
        head=ClassifierHead(normalise=True, temperature=config.temperature),
        config=dict(params),
        voxel_size=own_voxel_size,
        entry_voxel_size=entry_voxel_size,
        trained_on=len(scans),
        tower=tower,
        selection=chosen,
        rule=choice.rule,
        others=others,
        curves=curves,
    )
    if ranks.first():
        trained.save(out)


def specialised(feature: torch.Tensor, adapter: Adapter | None) -> torch.Tensor | Lazy:
    """Fused 2D embeddings (V, d) as the adapter makes them.

    On a GPU they are made when they are used, once more in the backward pass, and (V, d) float32
    is never there. On a CPU, where products of matrices are dear, they are made once.
    """
    if adapter is None:
        return feature
    made = Lazy(feature, adapter, feature.shape[1])
    if feature.is_cuda:
        return made
    with torch.no_grad():
        return rows.computed(lambda part, at: part, made)


def _loss_of(variant: str, loss: Mapping[str, Any], parts: Mapping[str, ModuleType]) -> LossConfig:
    """The loss of a variant: terms of specialisation take part only in variants that have it."""
    config = loss_config(loss)
    if VARIANTS[variant].specialised:
        return config
    kept = {name: w for name, w in config.weights.items() if not parts[name].ESS_ONLY}
    if not kept:
        what = f"leaves `{variant}` without a loss, since {', '.join(config.weights)} is for ESS"
        raise BadInput("`loss:` in the config", what, "give `cosine` a weight above 0")
    return replace(config, weights=kept)
