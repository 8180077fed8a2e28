"""What the stages that train a network have in common."""

from typing import Any

from pipeline.facts import Facts
from pipeline.stages.declaration import Over, Stage


class TrainingStage(Stage):
    """What the trainings with and without dense labels have in common."""

    over = Over.RUN
    packages = ("numpy", "scipy", "spconv-cu120", "torch")
    suffix = "safetensors"
    gpu = True
    memory_mb, minutes = 24000, 2880
    priority = -1  # long: short jobs go first

    def params(self, facts: Facts) -> dict[str, Any]:
        """The section `train`, less which runs there are: that matters to no single run."""
        return {
            key: value
            for key, value in facts.section["train"].items()
            if key not in ("variants", "seeds")
        }

    def threads(self, facts: Facts) -> int:
        """The training itself, and the processes that read scans for it."""
        return int(facts.section["workers"]) + 1
