"""Stage refined_labels: labels of all training scans, chosen from adapted embeddings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.stages.runs import TrainingStage, weak_scans, weak_sources
from pipeline.facts import Facts
from pipeline.stages.declaration import Entry, Request


class RefinedLabelsStage(TrainingStage):
    """Labels that agree with the adapted embeddings, the tags and the superpoints."""

    reads = ("voxels", "targets", "pseudo_labels", "tags", "text", "adapter")
    packages = ("numpy", "torch")
    minutes = 240
    priority = 0  # as of the adapter

    def sources(self, facts: Facts, name: str) -> list[Entry]:
        """The entries of all training scans, the text, and the adapter of the run."""
        return [*weak_sources(facts), ("adapter", name)]

    def params(self, facts: Facts) -> dict[str, Any]:
        """The section `labels` of `train`."""
        return dict(facts.section["train"].get("labels", {}))


class Worker:
    """Labels the scans for one run after another."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = params

    def __call__(self, path: Path, request: Request) -> None:
        """Write the labels for the run `<variant>-<seed>` to `path`."""
        from model.training.refine import LabelsConfig, write_refined_labels

        adapter = request.path("adapter", request.name)
        write_refined_labels(
            LabelsConfig(**self.params),
            weak_scans(request),
            request.path("text"),
            adapter,
            path,
            entry=request.entry,
        )
