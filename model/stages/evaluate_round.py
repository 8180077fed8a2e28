"""Stages evaluate_round<number>: counts of the networks of one round of self-training.

Apart from `evaluate`, so that one round more does not count again what has been counted.
"""

from model.stages import evaluate
from model.stages.evaluate import EvaluateStage
from pipeline.facts import Facts


class EvaluateRoundStage(EvaluateStage):
    """Counts of the networks of a self-training round."""

    def __init__(self, number: int = 0) -> None:
        super().__init__(number)
        self.reads = ("voxels", "targets", "text", "labels", f"retrain_round{number}")

    def module(self, facts: Facts) -> str:
        """The module that counts for all networks."""
        return evaluate.__name__
