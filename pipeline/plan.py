"""Which entries a run needs: for every stage its key, and for every entry its inputs and its place.

A plan is made once, before any job, from the config, the code and the identity of the raw files. It
is written to a file that the jobs read: a job whose code has changed since then refuses to run.
"""

import json
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline import manifest, provenance, rawdata, store
from pipeline.errors import BadInput

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
    "train": ["model.train"],
    "ceiling": ["model.ceiling"],
    "evaluate": ["model.evaluate", "model.score"],
    "clouds": ["model.labelled"],
}
SIMULATORS = {"scannet": "pipeline.simulate.scan", "s3dis": "pipeline.simulate.s3dis_scan"}
SUFFIX = {"train": "safetensors", "ceiling": "safetensors", "evaluate": "json"}

Entry = tuple[str, str]  # stage and name


class Plan:
    """The entries of one dataset under one config."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        """`facts` as `make` gathers them; plain JSON, so that jobs can read them from a file."""
        self.facts = facts
        self.dataset: str = facts["dataset"]
        self.section: Mapping[str, Any] = facts["section"]
        self.splits: Mapping[str, list[str]] = facts["splits"]
        self.work = Path(facts["work"], self.dataset)
        # What is of one fold of several, each with splits of its own, has a folder of its own.
        self.parts = [self.dataset, *([facts["fold"]] if "fold" in facts else [])]
        self.own = Path(facts["work"], *self.parts)
        self.path = self.own / "plan.json"  # where the jobs of a run find it
        self._digests: dict[Entry, str] = {}

    @classmethod
    def make(cls, dataset: str, config: Mapping[str, Any], wanted: bool = True) -> "Plan":
        """Plan `dataset`; unless it is `wanted`, its raw files and weights are not looked at.

        Raises `BadInput` where they are needed and missing.
        """
        section = config[dataset]
        rows, left_out = rawdata.scans(section)
        scans = [row for row in rows if row["split"] != "test"]
        facts: dict[str, Any] = {
            "dataset": dataset,
            "store": os.environ.get("SCAN_STORE", config["store"]),
            "work": config["work"],
            "results": config["results"],
            "section": section,
            "splits": {s: [r["scan"] for r in scans if r["split"] == s] for s in ("train", "val")},
            "seeds": {row["scan"]: int(row.get("seed") or 0) for row in scans},
            "areas": {row["scan"]: row["area"] for row in scans if row.get("area")},
            "classes": manifest.read_classes(Path(section["classes"])),
            "blessed": manifest.read_blessed(manifest.BLESSED),
            "left_out": left_out,
            "tags": None,
            "weights": None,
        }
        names = [row["scan"] for row in scans]
        facts["tags"] = rawdata.scene_tags(section, names, facts["classes"])
        if wanted:
            facts["weights"] = rawdata.weights_digest(section["embeddings"], Path(facts["store"]))
        plan = cls(facts)
        if wanted:
            rawdata.require_scans(plan)
        facts["raw_digests"] = plan._raw_digests(wanted)
        facts["keys"] = plan.keys
        if wanted and not plan.simulated:
            needed = (plan.home(stage, scan) for scan in plan.scans for stage in plan.raw_stages)
            rawdata.require(plan, needed)
        if wanted and plan.features:
            rawdata.require_features(
                plan.features, [plan.home("embeddings", scan) for scan in plan.scans]
            )
        return plan

    def write(self) -> None:
        """Write the plan for the jobs."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(self.facts, sort_keys=True), encoding="utf-8")
        os.replace(partial, self.path)

    @classmethod
    def load(cls, path: Path, stage: str | None = None) -> "Plan":
        """Read a plan; raises `BadInput` where the code of `stage` has changed since it was made.

        The other stages' code is not looked at, nor are their keys computed again: a job is short.
        """
        plan = cls(json.loads(path.read_text(encoding="utf-8")))
        plan.keys = plan.facts["keys"]
        if stage and plan.key(stage) != plan.keys[stage]:
            what = f"the code of {stage} has changed since the run was planned"
            raise BadInput(path, what, "run snakemake again")
        return plan

    # Stages

    @property
    def simulated(self) -> bool:
        """Whether the scans are made by `simulate` instead of read from a download."""
        return "simulate" in self.section

    @property
    def raw(self) -> Path:
        """The root of the raw files: the user's download, or what `simulate` writes."""
        if self.simulated:
            return self.work / "raw" / self.keys["simulate"]
        return rawdata.root(self.section)

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
        """How scores on the dataset's scans are reckoned, of those that `model.metrics` knows."""
        return "s3dis" if self.section["reader"] == "s3dis" else "scannet_official"

    def group(self, stage: str) -> str | None:
        """The group of files outside the store that a stage reads, of each scan."""
        return FEATURES if self.features and stage == "embeddings" else RAW.get(stage)

    def modules(self, stage: str) -> list[str]:
        """What does the work of a stage; its class `Stage` is in the first."""
        if stage == "simulate":
            return [SIMULATORS[self.section["reader"]]]
        if self.features and stage in ("embeddings", "text"):
            return [f"pipeline.features.{stage}"]
        if stage == "embeddings" and self.section[stage].get("regions"):
            return ["pipeline.clip.regions", "pipeline.embeddings"]  # for the packages of both
        return MODULES.get(stage, [f"pipeline.{stage}"])

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
        modules = [*self.modules(stage)]
        if stage in RAW:
            modules.append(f"pipeline.{self.section['reader']}.{RAW[stage]}")
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
            params = {key: params[key] for key in ("form",) if key in params}
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

    # Entries

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
    def scores(self) -> list[str]:
        """What is evaluated: fused 2D embeddings, pseudo-labels and every network, if anything."""
        if not self.scored:
            return []
        raw = self.facts["raw_digests"]
        labelled = all("labels" in raw.get(scan, ()) for scan in self.splits["train"])
        own = ["fused", *(["pseudo_labels"] if labelled else [])]
        return [*own, *self.runs["train"], *self.runs["ceiling"]]

    @property
    def last(self) -> str:
        """The stage that the results are of: scores, or else labelled clouds."""
        return "evaluate" if self.scored else "clouds"

    @property
    def outcomes(self) -> list[str]:
        """What the last stage makes: scores by name, or the clouds of each scan."""
        return self.scores if self.scored else self.scans

    @property
    def clouds(self) -> dict[str, Entry]:
        """The labelled clouds of each scan, by the names of their files, and their networks."""
        if self.scored:
            return {}
        found = [(stage, run) for stage, runs in self.runs.items() for run in runs]
        names = [f"labels_{run}" for _, run in found] if len(found) > 1 else ["labels"]
        return dict(zip(names, found, strict=True))

    @property
    def entries(self) -> list[Entry]:
        """All entries that the results go back to, upstream before downstream."""
        needed: dict[str, dict[str, None]] = {stage: {} for stage in self.stages}
        needed[self.last] = dict.fromkeys(self.outcomes)
        for stage in reversed(self.stages):
            for name in needed[stage]:
                for above, source in self.inputs(stage, name):
                    needed[above][source] = None
        needed.pop("clouds", None)  # which are no entries
        return [(stage, name) for stage, names in needed.items() for name in sorted(names)]

    def inputs(self, stage: str, name: str) -> list[Entry]:
        """The entries that the entry `name` of `stage` is made from."""
        train, val = self.splits["train"], self.splits["val"]
        if stage in PER_SCAN:
            return _entries(self.upstream(stage), [name])
        if stage in PER_RUN:
            return _entries(PER_RUN[stage], train)
        if stage == "evaluate" and name == "fused":
            return _entries(("text", "targets", "voxels", "labels"), val)
        if stage == "evaluate" and name == "pseudo_labels":
            return _entries(("targets", "pseudo_labels", "voxels", "labels"), train)
        if stage == "evaluate":
            trainer = "ceiling" if name in self.runs["ceiling"] else "train"
            return [(trainer, name), *_entries(("voxels", "labels"), val)]
        if stage == "clouds":
            return [*self.clouds.values(), *_entries(("voxels", "projections"), [name])]
        return []

    def digest(self, stage: str, name: str) -> str:
        """What identifies the raw files that an entry goes back to."""
        known = self._digests.get((stage, name))
        if known is None:
            group, groups = self.group(stage), self.facts["raw_digests"].get(name, {})
            own = [groups.get(group, "unknown")[:12]] if group else []
            if stage in RAW:
                known = own[0]
            else:
                parents = (self.digest(*parent) for parent in self.inputs(stage, name))
                known = provenance.digest(stage, name, *own, *parents)
            self._digests[stage, name] = known
        return known

    def link(self, stage: str, name: str) -> Path:
        """Where the work tree has the entry."""
        folder = self.work if stage == "text" or stage in PER_SCAN else self.own
        return folder / stage / self.keys[stage] / f"{name}.{SUFFIX.get(stage, 'zarr.zip')}"

    def home(self, stage: str, name: str) -> Path:
        """Where the store has the entry."""
        folder = Path(self.facts["store"], self.dataset, stage, self.keys[stage])
        return folder / f"{name}@{self.digest(stage, name)}.{SUFFIX.get(stage, 'zarr.zip')}"

    @property
    def results(self) -> Path:
        """The folder of the tables, named by all that they come from: never out of date."""
        parts = [self.keys[self.last], *(self.digest(self.last, name) for name in self.outcomes)]
        parts += self.facts.get("left_out", [])  # which the tables tell
        return Path(self.facts["results"], self.dataset, provenance.digest(*parts))

    def adopt(self) -> None:
        """Link what the store already holds, before anything is planned."""
        store.adopt((self.link(*entry), self.home(*entry)) for entry in self.entries)
        if self.simulated:  # Snakemake sets the times of what it has made
            for done in self.raw.glob("*.done"):
                store.forget_time(done)
        store.show_latest(self.results)

    def _raw_digests(self, wanted: bool) -> dict[str, dict[str, str]]:
        known = self._scan_digests(wanted)
        if self.features:
            found = rawdata.features_digests(self.features, self.scans, self._records, wanted)
            known = {scan: groups | found.get(scan, {}) for scan, groups in known.items()}
        return known

    @property
    def _records(self) -> Path:
        return Path(self.facts["store"], self.dataset, "raw")

    def _scan_digests(self, wanted: bool) -> dict[str, dict[str, str]]:
        if self.simulated:  # a simulated scan is what its seed and its recipe say
            key, seeds = self.keys["simulate"], self.facts["seeds"]
            return {
                scan: dict.fromkeys(
                    RAW.values(), provenance.digest(key, scan, split, str(seeds[scan]))
                )
                for split, scans in self.splits.items()
                for scan in scans
            }
        if not (wanted and self.raw.is_dir()):
            return manifest.raw_digests(dict.fromkeys(self.scans), self._records)
        files = rawdata.complete_scans(self)
        return manifest.raw_digests(
            files, self._records, f"{self.dataset}: reading the raw files once"
        )


def _entries(stages: Iterable[str], scans: Iterable[str]) -> list[Entry]:
    """The entries of some stages for some scans; of `text` there is one for the whole dataset."""
    return [
        (stage, name) for stage in stages for name in (["classes"] if stage == "text" else scans)
    ]
