"""What the stages that train a network have in common."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.facts import Facts
from pipeline.stages.declaration import ONLY, Entry, Over, Request, Stage, of_scans

if TYPE_CHECKING:
    from model.data.entries import ScanEntries

WEAK = ("voxels", "targets", "pseudo_labels", "tags")  # of each training scan


class TrainingStage(Stage):
    """What the trainings with and without dense labels have in common."""

    over = Over.RUN
    packages: ClassVar[tuple[str, ...]] = ("numpy", "scipy", "spconv-cu120", "torch")
    suffix = "safetensors"
    gpu = True
    memory_mb, minutes = 24000, 720  # one that is stopped goes on when it is tried again
    priority = -1  # long: short jobs go first

    def params(self, facts: Facts) -> dict[str, Any]:
        """The section `train`, less which runs there are: that matters to no single run."""
        return {
            key: value
            for key, value in facts.section["train"].items()
            if key not in ("variants", "seeds", "adapter", "labels", "self_training")
        }

    def threads(self, facts: Facts) -> int:
        """Of each GPU the training itself, and the processes that read scans for it."""
        return (int(facts.section["workers"]) + 1) * self.gpus(facts)

    def gpus(self, facts: Facts) -> int:
        """As the config says; in no key, since the same is computed (`model.training.ranks`)."""
        return int(facts.section.get("gpus", 1))

    def nodes(self, facts: Facts) -> int:
        """As the config says; in no key either."""
        return int(facts.section.get("nodes", 1))


def weak_sources(facts: Facts) -> list[Entry]:
    """What weakly supervised training reads of scans, and the text."""
    return [*of_scans(WEAK, facts.splits["train"]), ("text", ONLY)]


def weak_scans(request: Request, labels: Path | None = None) -> "list[ScanEntries]":
    """The entries of the training scans, with `labels` of all in the place of pseudo-labels."""
    from model.data.entries import ScanEntries

    scans = request.facts.splits["train"]
    paths = {scan: {stage: request.path(stage, scan) for stage in WEAK} for scan in scans}
    return [ScanEntries(scan, **paths[scan], refined=labels) for scan in scans]


def variant_of(run: str) -> str:
    """The variant of a run, whatever its round of self-training."""
    return run.rpartition("-")[0].partition("_round")[0]


def seed_of(run: str) -> int:
    """The seed of a run."""
    return int(run.rpartition("-")[2])


def run_in(number: int, run: str) -> str:
    """The run of the same variant and seed in a round of self-training, or (0) before any."""
    part = f"_round{number}" if number else ""
    return f"{variant_of(run)}{part}-{seed_of(run)}"
