"""Stage train: a 3D network, supervised by scene tags alone."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from model.stages.runs import TrainingStage
from model.training import losses
from pipeline.facts import Facts
from pipeline.stages.declaration import Request


class TrainStage(TrainingStage):
    """A 3D network trained with fused 2D embeddings and pseudo-labels, and no dense label."""

    reads = ("voxels", "targets", "pseudo_labels", "tags", "text")

    def parts(self, facts: Facts) -> dict[str, str]:
        """The terms of the loss that have a weight."""
        return losses.module_names(facts.section["train"].get("loss", {}))


class Worker:
    """Trains one network after another."""

    def __init__(self, params: Mapping[str, Any], parts: Mapping[str, ModuleType]) -> None:
        self.params, self.parts = params, parts

    def __call__(self, path: Path, request: Request) -> None:
        """Write the network of the run `<variant>-<seed>` to `path`."""
        from model.data.entries import ScanEntries
        from model.training.weakly_supervised import train_weakly_supervised

        variant, _, seed = request.name.rpartition("-")
        facts = request.facts
        stages = ("voxels", "targets", "pseudo_labels", "tags")
        train_weakly_supervised(
            self.params,
            variant,
            int(seed),
            [
                ScanEntries(scan, *(request.path(stage, scan) for stage in stages))
                for scan in facts.splits["train"]
            ],
            request.path("text"),
            path,
            request.scratch,
            parts=self.parts,
            tower=facts.tower,
            entry=request.entry,
            workers=facts.section["workers"],
        )
