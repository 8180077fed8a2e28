"""Stages retrain_round<number>: a network trained from the start on the labels of that round."""

from typing import Any

from model.stages import train
from model.stages.runs import run_in, weak_sources
from model.stages.train import TrainStage
from pipeline.facts import Facts
from pipeline.stages.declaration import Entry


class RetrainRoundStage(TrainStage):
    """The network of a self-training round."""

    def __init__(self, number: int = 0) -> None:
        super().__init__(number)
        own = f"relabel_round{number}"
        self.reads = (*("voxels", "targets", "pseudo_labels", "tags", "text", "adapter"), own)

    def sources(self, facts: Facts, name: str) -> list[Entry]:
        """The entries of all training scans, the text, the adapter, and the labels of the round."""
        labels = (f"relabel_round{self.round}", name)
        return [*weak_sources(facts), ("adapter", run_in(0, name)), labels]

    def params(self, facts: Facts) -> dict[str, Any]:
        """Those of the first training, with the steps that rounds have."""
        params = super().params(facts)
        steps = facts.section["train"]["self_training"].get("steps")
        return params | {"optimiser": params["optimiser"] | ({"steps": steps} if steps else {})}

    def module(self, facts: Facts) -> str:
        """The module of the first training."""
        return train.__name__
