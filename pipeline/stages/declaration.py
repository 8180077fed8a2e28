"""How a stage declares itself: what it reads, runs over and depends on.

Each stage is a module in `pipeline/stages` or `model/stages`: `pseudo_labels.py` has a subclass of
`Stage`, `PseudoLabelsStage`, and a class `Worker` that does the work. The plan, the keys, the jobs
and the rules read the declarations; a new stage is a new file. A module whose name ends in `_round`
declares a stage for each round of self-training. What a declaration says becomes part of the
stage's key by value, so the declaration's own code, this module included, is no part of it (see
`pipeline.plan.provenance`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

from pipeline.clip import hub
from pipeline.clip.weights import local_folder
from pipeline.facts import Facts

Entry = tuple[str, str]  # stage and name
ONLY = "classes"  # the name of the one entry of a stage that runs over the dataset


class Over(Enum):
    """What a stage makes one entry of."""

    DATASET = "dataset"
    SCAN = "scan"
    RUN = "run"  # a network that is trained
    SCORE = "score"  # a network, or labels that come before any network


class Stage:
    """A stage; subclasses replace what differs. The name is that of the module and the round."""

    over: ClassVar[Over] = Over.SCAN
    reads: tuple[str, ...] = ()  # the stages that may be upstream
    raw: ClassVar[str | None] = None  # the group of a scan's raw files that is read
    packages: ClassVar[tuple[str, ...]] = ()  # distributions whose version is part of the key
    suffix: ClassVar[str] = "zarr.zip"
    stored: ClassVar[bool] = True  # whether what is made are entries of the store
    wants_name: ClassVar[bool] = False  # whether the worker is given the entry's name

    gpu: ClassVar[bool] = False
    memory_mb: ClassVar[int] = 2000
    minutes: ClassVar[int] = 30  # at most, of one entry, for a cluster's scheduler
    # The groups of a scan's raw files that an entry's time and size are in proportion to.
    time_grows_with: ClassVar[tuple[str, ...]] = ("cloud",)
    size_grows_with: ClassVar[tuple[str, ...]] = ("cloud",)
    priority: ClassVar[int] = 0  # of its jobs: higher ones go first
    priority_without_gpu: ClassVar[int | None] = None  # in the place of that on such a machine

    def __init__(self, number: int = 0) -> None:
        self.round = number  # of self-training; 0 if the stage is of none

    @property
    def name(self) -> str:
        """Name of the stage: of its module, command, rule and folder in the store."""
        return type(self).__module__.rpartition(".")[2] + (str(self.round) if self.round else "")

    def active(self, facts: Facts) -> bool:
        """Whether the dataset has this stage; one of a round, if it has that round."""
        return self.round <= facts.rounds

    def upstream(self, facts: Facts) -> tuple[str, ...]:
        """The stages that are read under this config."""
        return self.reads

    def sources(self, facts: Facts, name: str) -> list[Entry]:
        """The entries that the entry `name` is made from."""
        scans = facts.splits["train"] if self.over is Over.RUN else [name]
        return of_scans(self.upstream(facts), scans)

    def params(self, facts: Facts) -> dict[str, Any]:
        """The parameters of `Worker`: plain JSON."""
        return dict(facts.section.get(self.name) or {})

    def placed(self, params: dict[str, Any]) -> dict[str, Any]:
        """Parameters with the folder of a hub's model, if it is here, in the place of its name."""
        model = params.get("model")
        return params | ({"model": hub.located(model)} if model else {})

    def key_params(self, facts: Facts) -> dict[str, Any]:
        """The parameters as they are in the key: with digests in the place of paths."""
        return self.params(facts)

    def module(self, facts: Facts) -> str:
        """The module whose `Worker` does the work."""
        return type(self).__module__

    def parts(self, facts: Facts) -> dict[str, str]:
        """Role -> module, for modules that a parameter chooses; `Worker` is given them loaded."""
        return {}

    def raw_group(self, facts: Facts) -> str | None:
        """The group of files outside the store that is read, of each scan."""
        return self.raw

    def threads(self, facts: Facts) -> int:
        """Threads of a job, on each of its nodes."""
        return 1

    def gpus(self, facts: Facts) -> int:
        """GPUs of a job, on each of its nodes. With several, as many processes make an entry."""
        return int(self.gpu)

    def nodes(self, facts: Facts) -> int:
        """Nodes of a cluster that make an entry together."""
        return 1


@dataclass(frozen=True)
class Request:
    """What the worker of a stage that writes a file is given: its entry, and its inputs' paths.

    Only declared inputs can be asked for, so no dense label reaches a stage that declares none.
    """

    facts: Facts
    name: str
    entry: str  # what the file must say that it is
    inputs: Mapping[Entry, Path]
    scratch: Path  # private folder for checkpoints
    log: Path | None = None  # private folder where a training can be watched

    def path(self, stage: str, name: str = ONLY) -> Path:
        """The path of an input. Raises KeyError where the stage does not declare it."""
        return self.inputs[stage, name]


def of_scans(stages: Iterable[str], scans: Iterable[str]) -> list[Entry]:
    """The entries of some stages for some scans."""
    names = list(scans)
    return [(stage, name) for stage in stages for name in names]


def by_digest(facts: Facts) -> dict[str, Any]:
    """What a key says of CLIP weights: their content in the place of a path, beside that of a tag.

    A name of open_clip stays: the configuration that goes with the weights is the package's.
    """
    tower = facts.section["embeddings"]
    if not facts.weights:
        return {}
    if local_folder(tower["model"]) or hub.is_hub(tower["model"]):
        return {"model": None, "pretrained": facts.weights}
    tagged = hub.is_tag(tower["model"], tower["pretrained"])
    return {"weights" if tagged else "pretrained": facts.weights}
