"""Stage adapter: embeddings specialisation (ESS), fitted to the pseudo-labels of all scans."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.stages.runs import TrainingStage, seed_of, variant_of, weak_scans, weak_sources
from model.training import variants
from pipeline.facts import Facts
from pipeline.stages.declaration import Entry, Request


class AdapterStage(TrainingStage):
    """The adapter that moves fused embeddings towards the text of their pseudo-labels."""

    reads = ("voxels", "targets", "pseudo_labels", "tags", "text")
    packages = ("numpy", "torch")
    minutes = 720
    priority = 0  # before trainings that need no adapter: the longest of them waits for it

    def sources(self, facts: Facts, name: str) -> list[Entry]:
        """The entries of all training scans, and the text."""
        return weak_sources(facts)

    def params(self, facts: Facts) -> dict[str, Any]:
        """The section `adapter`."""
        return {"adapter": facts.section["train"].get("adapter", {})}


class Worker:
    """Fits one adapter after another."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = params

    def __call__(self, path: Path, request: Request) -> None:
        """Write the adapter of the run `<variant>-<seed>` to `path`."""
        from model.training.fit_adapter import write_adapter

        write_adapter(
            variants.settings(variant_of(request.name), self.params)["adapter"],
            weak_scans(request),
            request.path("text"),
            path,
            seed=seed_of(request.name),
            entry=request.entry,
            workers=request.facts.section["workers"],
            log=request.log,
        )
