"""Facts about a dataset under one config, known before a run: plain data, equal in every job.

`pipeline.plan.making` collects it; a run writes it to `plan.json`, and its jobs read it there.
The stages' declarations compute from it what their keys contain, so this module is in no key.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypedDict

SUPERVISED = "supervised"  # the variant that dense labels train, as an upper bound
FUSED = "fused"  # what is scored besides networks
PSEUDO_LABELS, REFINED_LABELS = "pseudo_labels", "refined_labels"  # the same, of training scans
ROUNDS = 5  # of self-training, at most
SELF_TRAINED = ("ess_esgs",)  # the variants that have rounds, if they learn refined labels
FOLDER_OF_RAW = "data"  # where raw files are if the config does not say


class ClassRow(TypedDict, total=False):
    """A class of the dataset, as a row of the csv file that lists them."""

    name: str
    prompts: list[str]
    nyu40: int  # the id by which ScanNet labels it
    label_id: int  # or that of ScanNet's label map, by which ScanNet200 does
    group: str  # head, common or tail, for means over some of the classes
    color: str  # `#aec7e8`


@dataclass(frozen=True)
class Facts:
    """A dataset under one config. Scans, classes and areas are by name."""

    dataset: str
    store: str
    work: str
    results: str
    section: Mapping[str, Any]  # of the dataset in the config, with all defaults
    splits: Mapping[str, Sequence[str]]  # "train" and "val" -> scans
    classes: Sequence[ClassRow]
    protocol: str  # of the scores, by the reader
    has_labels: bool  # whether the reader's scans have dense labels
    simulator: str | None = None  # the module that simulates scans in the reader's files
    seeds: Mapping[str, int] = field(default_factory=dict)  # of simulated scans
    areas: Mapping[str, str] = field(default_factory=dict)  # of scans that are held out by area
    blessed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # stage -> key -> older
    left_out: Sequence[str] = ()  # a sentence about each scan that is not used
    tags: Mapping[str, Sequence[str]] | None = None  # scan -> classes in it, from files
    weights: str | None = None  # SHA-256 of the CLIP weights, where they are local files
    raw_digests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by scan and group
    keys: Mapping[str, str] | None = None  # of all stages; None: not computed yet
    fold: str | None = None  # name of the fold, where the splits are one of several
    keep_going: bool = False  # whether the run makes everything that does not need what failed
    row: str | None = None  # name of the row of an ablation, where the section is one of several

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Facts":
        """Read what `to_json` gave; raises TypeError where a required part is missing.

        Parts that this version does not know are ignored.
        """
        known = {each.name for each in fields(cls)}
        return cls(**{name: part for name, part in content.items() if name in known})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, in a copy."""
        return asdict(self)

    @property
    def scans(self) -> list[str]:
        """All scans, those to train on first."""
        return [*self.splits["train"], *self.splits["val"]]

    @property
    def reader(self) -> str:
        """The reader of the raw files."""
        return str(self.section["reader"])

    def runs(self, stage: str) -> list[str]:
        """The networks that a stage trains: <variant>-<seed>, or <variant>_round<number>-<seed>."""
        training, number = self.section["train"], round_of(stage)
        own = [v for v in training["variants"] if (v == SUPERVISED) == (stage == SUPERVISED)]
        if number:
            own = [f"{variant}_round{number}" for variant in own if variant in SELF_TRAINED]
        return [f"{variant}-{seed}" for variant in own for seed in training["seeds"]]

    @property
    def refined(self) -> bool:
        """Whether a variant learns labels that are chosen from adapted embeddings."""
        training = self.section["train"]
        of_adapter = training.get("labels", {}).get("source") == "adapter"
        return of_adapter and not set(SELF_TRAINED).isdisjoint(training["variants"])

    @property
    def rounds(self) -> int:
        """How many rounds of self-training there are; 0 if no variant has them."""
        rounds = self.section["train"].get("self_training", {}).get("rounds", 0)
        return int(rounds) if self.refined else 0

    @property
    def trainers(self) -> list[str]:
        """The stages that train networks."""
        return ["train", *in_rounds("retrain", self.rounds), SUPERVISED]

    @property
    def networks(self) -> list[str]:
        """All networks that are trained."""
        return [run for stage in self.trainers for run in self.runs(stage)]

    @property
    def weak_networks(self) -> list[str]:
        """The networks that are trained without dense labels."""
        return [run for run in self.networks if self.trainer(run) != SUPERVISED]

    @property
    def imported(self) -> Mapping[str, str]:
        """Networks that were trained elsewhere: name -> file."""
        return self.section.get("networks") or {}

    def trainer(self, run: str) -> str:
        """The stage that trains a network, or reads it."""
        if run in self.imported:
            return "imported"
        if number := round_of(run):
            return f"retrain_round{number}"
        return SUPERVISED if run.rpartition("-")[0] == SUPERVISED else "train"

    def evaluator(self, name: str) -> str:
        """The stage that counts for a score."""
        return f"evaluate_round{number}" if (number := round_of(name)) else "evaluate"

    @property
    def scores(self) -> list[str]:
        """What is evaluated: fused embeddings, labels that are learnt, and networks, if anything.

        Refined labels are of a run: <REFINED_LABELS>-<seed>.
        """
        if not self.scored:
            return []
        raw, own = self.raw_digests, [FUSED]
        if all("labels" in raw.get(scan, ()) for scan in self.splits["train"]):
            seeds = self.section["train"]["seeds"] if self.refined else []
            own += [PSEUDO_LABELS, *(f"{REFINED_LABELS}-{seed}" for seed in seeds)]
        return [*own, *self.networks, *self.imported]

    @property
    def clouds(self) -> dict[str, str]:
        """The labelled clouds of a scan: name of the file, without its suffix -> network."""
        runs = [*self.networks, *self.imported]
        names = [f"labels_{run}" for run in runs] if len(runs) > 1 else ["labels"]
        return dict(zip(names, runs, strict=True))

    @property
    def simulated(self) -> bool:
        """Whether the scans are made by `simulate` instead of read from a download."""
        return "simulate" in self.section

    @property
    def features(self) -> Path | None:
        """The folder of features made elsewhere, which take the place of an image tower."""
        folder = self.section["embeddings"].get("features")
        return Path(folder) if folder else None

    @property
    def tower(self) -> dict[str, Any] | None:
        """The text tower and its templates; None where features come from elsewhere."""
        if self.features:
            return None
        known = {name: self.section["embeddings"][name] for name in ("model", "pretrained")}
        return known | {"weights": self.weights, "templates": self.section["text"]["templates"]}

    @property
    def dense_tags(self) -> bool:
        """Whether scene tags come from dense labels: not from a file, nor from nothing."""
        return self.tags is None and self.section["tags"]["source"] != "none"

    @property
    def groups(self) -> dict[str, str] | None:
        """The group of each class, "" for none; None where classes are not those of a label map."""
        if not any("label_id" in each for each in self.classes):
            return None
        return {each["name"]: each.get("group", "") for each in self.classes}

    @property
    def scored(self) -> bool:
        """Whether there are labelled scans to score on."""
        return bool(self.splits["val"]) and self.has_labels


def in_rounds(stage: str, rounds: int = ROUNDS) -> tuple[str, ...]:
    """The stages <stage>_round<number> of the rounds of self-training."""
    return tuple(f"{stage}_round{number}" for number in range(1, rounds + 1))


def round_of(name: str) -> int:
    """The round of self-training that a stage or a run is of; 0 if of none."""
    found = re.search(r"_round(\d+)(-\d+)?$", name)
    return int(found[1]) if found else 0


def raw_root(section: Mapping[str, Any]) -> Path:
    """The root of a dataset's raw files, as its section of the config says."""
    return Path(section.get("raw") or FOLDER_OF_RAW, "")
