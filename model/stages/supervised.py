"""Stage supervised: the same network taught by dense labels, as an upper bound for comparison."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.stages.runs import TrainingStage, seed_of
from pipeline.facts import Facts
from pipeline.stages.declaration import Request


class SupervisedStage(TrainingStage):
    """The network of `train`, trained with dense labels: the fully supervised upper bound."""

    reads = ("voxels", "labels", "text")
    # It waits for no embedding. So where it keeps no GPU from these it begins before they are made,
    # and the trainings that need them have the machine for themselves at the end.
    priority_without_gpu = 1

    def params(self, facts: Facts) -> dict[str, Any]:
        """Without what it does not use: the selection, and the terms of the loss."""
        params = super().params(facts)
        loss = params.get("loss", {})
        used = {name: value for name, value in params.items() if name != "selection"}
        return used | {"loss": {name: loss[name] for name in loss if name == "balance"}}


class Worker:
    """Trains one network after another."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = params

    def __call__(self, path: Path, request: Request) -> None:
        """Write the network of the run `supervised-<seed>` to `path`."""
        from model.data.labels import LabelledScan
        from model.training.fully_supervised import train_fully_supervised

        facts = request.facts
        stages = ("voxels", "labels")
        train_fully_supervised(
            self.params,
            seed_of(request.name),
            [
                LabelledScan(scan, *(request.path(stage, scan) for stage in stages))
                for scan in facts.splits["train"]
            ],
            request.path("text"),
            path,
            request.scratch,
            entry=request.entry,
            workers=facts.section["workers"],
            log=request.log,
        )
