"""Stage train: a 3D network, supervised by scene tags alone."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from model.stages.runs import (
    TrainingStage,
    run_in,
    seed_of,
    variant_of,
    weak_scans,
    weak_sources,
)
from model.training import losses, variants
from pipeline.facts import Facts, round_of
from pipeline.stages.declaration import Entry, Request


class TrainStage(TrainingStage):
    """A 3D network trained with fused 2D embeddings and pseudo-labels, and no dense label."""

    reads = (
        *("voxels", "targets", "pseudo_labels", "tags", "text"),
        *("adapter", "refined_labels"),
    )

    def sources(self, facts: Facts, name: str) -> list[Entry]:
        """The entries of all training scans, the text, and what ESS makes for the run."""
        section, variant = facts.section["train"], variant_of(name)
        found = weak_sources(facts)
        if variants.VARIANTS[variant].specialised:
            found.append(("adapter", name))
        if variants.refined(variant, section):
            found.append(("refined_labels", name))
        return found

    def parts(self, facts: Facts) -> dict[str, str]:
        """The terms of the loss that have a weight, in any of the variants."""
        section = facts.section["train"]
        found: dict[str, str] = {}
        for variant in variants.VARIANTS:
            if variant in section["variants"]:
                loss = variants.settings(variant, section).get("loss", {})
                found |= losses.module_names(loss)
        return found or losses.module_names(section.get("loss", {}))


class Worker:
    """Trains one network after another."""

    def __init__(self, params: Mapping[str, Any], parts: Mapping[str, ModuleType]) -> None:
        self.params, self.parts = params, parts

    def __call__(self, path: Path, request: Request) -> None:
        """Write the network of a run, the first or that of a round of self-training, to `path`."""
        from model.training.weakly_supervised import train_weakly_supervised

        name, facts, variant = request.name, request.facts, variant_of(request.name)
        number, specialised = round_of(name), variants.VARIANTS[variant].specialised
        labels = None
        if number:
            labels = request.path(f"relabel_round{number}", name)
        elif variants.refined(variant, facts.section["train"]):
            labels = request.path("refined_labels", name)
        train_weakly_supervised(
            self.params,
            variant,
            seed_of(name),
            weak_scans(request, labels),
            request.path("text"),
            path,
            request.scratch,
            parts=self.parts,
            round_number=number,
            adapter=request.path("adapter", run_in(0, name)) if specialised else None,
            tower=facts.tower,
            entry=request.entry,
            workers=facts.section["workers"],
            log=request.log,
        )
