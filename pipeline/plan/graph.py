"""The stages of a dataset: what each is made from, does its work, is told, and is keyed by."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.plan import provenance
from pipeline.stages import parts

# Stages that read raw files, and the group of raw files that each reads.
RAW = {"frames": "frames", "voxels": "cloud", "labels": "labels"}
# What is upstream of the stages that work on one scan at a time.
PER_SCAN = {
    "frames": (),
    "voxels": (),
    "labels": (),
    "tags": ("labels",),
    "projections": ("frames", "voxels"),
    "embeddings": ("frames",),
    "targets": ("embeddings", "projections"),
    "pseudo_labels": ("targets", "text", "tags", "voxels"),
}
# Of the stages that read all training scans: the trainer is given no `labels`, the ceiling is.
PER_RUN = {
    "train": ("voxels", "targets", "pseudo_labels", "text"),
    "ceiling": ("voxels", "labels", "text"),
}
UPSTREAM = {
    **PER_SCAN,
    **PER_RUN,
    "evaluate": (*PER_RUN, "targets", "pseudo_labels", "labels"),
    "clouds": (*PER_RUN, "projections"),
}
FEATURES = "features"  # the group of files that `embeddings` reads where no image tower does
# What does the work of a stage, where it is not the module of its name in `pipeline`.
MODULES = {
    "train": ["model.training.train"],
    "ceiling": ["model.training.ceiling"],
    "evaluate": ["model.scoring.evaluate", "model.scoring.score"],
    "clouds": ["model.inference.labelled"],
}
SIMULATORS = {"scannet": "pipeline.simulate.scan", "s3dis": "pipeline.simulate.s3dis_scan"}


class Stages:
    """The stages of one dataset under one config."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        """`facts` as `Plan.make` gathers them: plain JSON, so that jobs can read them."""
        self.facts = facts
        self.dataset: str = facts["dataset"]
        self.section: Mapping[str, Any] = facts["section"]
        self.splits: Mapping[str, list[str]] = facts["splits"]
        self.work = Path(facts["work"], self.dataset)

    @property
    def scans(self) -> list[str]:
        """All scans, those to train on first."""
        return [*self.splits["train"], *self.splits["val"]]

    @property
    def runs(self) -> dict[str, list[str]]:
        """The trained networks by stage, each named <variant>-<seed>."""
        variants, seeds = self.section["train"]["variants"], self.section["train"]["seeds"]
        return {
            "train": [f"{v}-{s}" for v in variants if v != "dense" for s in seeds],
            "ceiling": [f"dense-{s}" for s in seeds if "dense" in variants],
        }

    @property
    def simulated(self) -> bool:
        """Whether the scans are made by `simulate` instead of read from a download."""
        return "simulate" in self.section

    @property
    def raw(self) -> Path:
        """The root of the raw files: the user's download, or what `simulate` writes."""
        if self.simulated:
            return self.work / "raw" / self.keys["simulate"]
        return raw_root(self.section)

    @property
    def features(self) -> Path | None:
        """The folder of features made elsewhere, in the place of an image tower."""
        folder = self.section["embeddings"].get("features")
        return Path(folder) if folder else None

    @property
    def tower(self) -> dict[str, Any] | None:
        """The text tower and how classes are put to it; None where features come from elsewhere."""
        if self.features:
            return None
        known = {name: self.section["embeddings"][name] for name in ("model", "pretrained")}
        templates = self.section["text"]["templates"]
        return known | {"weights": self.facts["weights"], "templates": templates}

    @property
    def raw_stages(self) -> list[str]:
        """The stages that a training cannot do without among those that read raw files."""
        return [stage for stage in RAW if stage != "labels" or self.dense_tags]

    @property
    def dense_tags(self) -> bool:
        """Whether scene-level labels come from dense labels: not from a file, nor from nothing."""
        return self.facts["tags"] is None and self.section["tags"]["source"] != "none"

    @property
    def scored(self) -> bool:
        """Whether there are scans to score on: those of folders have no labels."""
        return bool(self.splits["val"]) and self.section["reader"] != "folder"

    @property
    def protocol(self) -> str:
        """The protocol, in `model.scoring.metrics`, for the scores of the dataset's scans."""
        return "s3dis" if self.section["reader"] == "s3dis" else "scannet_official"

    def group(self, stage: str) -> str | None:
        """The group of files outside the store that a stage reads, of each scan."""
        return FEATURES if self.features and stage == "embeddings" else RAW.get(stage)

    def modules(self, stage: str) -> list[str]:
        """What does the work of a stage; its class `Stage` or `Worker` is in the first."""
        if stage == "simulate":
            return [SIMULATORS[self.section["reader"]]]
        if self.features and stage in ("embeddings", "text"):
            return [f"pipeline.readers.features.{stage}"]
        return MODULES.get(stage, [f"pipeline.stages.{stage}"])

    def upstream(self, stage: str) -> tuple[str, ...]:
        """The stages that a stage reads; tags from a file, or from nothing, need no labels."""
        if stage == "tags" and not self.dense_tags:
            return ()
        if stage == "targets" and self.section.get("targets", {}).get("segments"):
            return (*UPSTREAM[stage], "voxels")
        return UPSTREAM.get(stage, ())

    @property
    def stages(self) -> list[str]:
        """All stages, upstream before downstream."""
        simulate = ["simulate"] if self.simulated else []
        clouds = [] if self.scored else ["clouds"]
        return [*simulate, "text", *PER_SCAN, *PER_RUN, "evaluate", *clouds]

    @cached_property
    def keys(self) -> dict[str, str]:
        """The key of every stage."""
        keys: dict[str, str] = {}
        for stage in self.stages:
            keys[stage] = self.key(stage, keys)
        return keys

    def key(self, stage: str, keys: Mapping[str, str] | None = None) -> str:
        """The key of a stage's recipe, or the older one that it is blessed to keep."""
        key = provenance.key(self.recipe(stage, keys))
        return self.facts["blessed"].get(stage, {}).get(key, key)

    def recipe(self, stage: str, keys: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The recipe of a stage; `keys` of the stages upstream of it, if not all are known yet."""
        modules = [*self.modules(stage), *parts.key_modules(stage, self.section)]
        if stage in RAW:
            modules.append(f"pipeline.readers.{self.section['reader']}.{RAW[stage]}")
        above = {name: (keys or self.keys)[name] for name in self.upstream(stage)}
        return provenance.recipe(stage, modules, self._identity(stage), above)

    def own_recipe(self, stage: str) -> dict[str, Any] | None:
        """What the key of a stage stands for; None if it is the key of an older, equal recipe."""
        recipe = self.recipe(stage)
        return recipe if provenance.key(recipe) == self.keys[stage] else None

    def params(self, stage: str) -> dict[str, Any]:
        """What the stage is told, beside its inputs."""
        params = dict(self.section.get("train" if stage == "ceiling" else stage) or {})
        classes = self.facts["classes"]
        if stage == "labels":
            known = ("name", "nyu40")
            params["classes"] = [{key: c[key] for key in known if key in c} for c in classes]
        elif stage == "tags":
            params |= {"classes": [c["name"] for c in classes], "file": self.facts["tags"]}
            params |= {} if self.facts["tags"] is None else {"source": "file"}
        elif stage == "clouds":
            params["colors"] = {c["name"]: c["color"] for c in classes if "color" in c}
        elif stage == "text" and self.features:
            params = {"classes": [c["name"] for c in classes]}
        elif stage == "embeddings" and self.features:
            params = {key: params[key] for key in ("codec",) if key in params}
        elif stage == "text":
            tower = self.section["embeddings"]
            params["classes"] = [{"name": c["name"], "prompts": c["prompts"]} for c in classes]
            params |= {"model": tower["model"], "pretrained": tower["pretrained"]}
        elif stage in PER_RUN:  # which runs there are is no matter of a single run
            del params["variants"], params["seeds"]
        return params

    def _identity(self, stage: str) -> dict[str, Any]:
        """The parameters with the content of local weights in the place of their path."""
        params = self.params(stage)
        if self.features:  # of which the weights are the texts
            return params | ({"texts": self.facts["weights"]} if stage == "text" else {})
        if stage in ("text", "embeddings") and self.facts["weights"]:
            params |= {"model": None, "pretrained": self.facts["weights"]}
        return params


def raw_root(section: Mapping[str, Any]) -> Path:
    """The root of a dataset's raw files, as its section of the config says."""
    return Path(section.get("raw") or "data", "")
