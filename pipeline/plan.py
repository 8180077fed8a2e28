"""Which entries a run needs: for every stage its key, and for every entry its inputs and its place.

A plan is made once, before any job, from the config, the code and the identity of the raw files. It
is written to a file that the jobs read: a job whose code has changed since then refuses to run.
"""

import json
import os
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline import manifest, provenance, store
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
SUFFIX = {"train": "safetensors", "ceiling": "safetensors", "evaluate": "json"}
MODULE = {"train": "model.train", "ceiling": "model.ceiling", "evaluate": "model.evaluate"}
BATCH = 32  # scans to a job of the stages that load a model


class Plan:
    """The entries of one dataset under one config."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        """`facts` as `make` gathers them; plain JSON, so that jobs can read them from a file."""
        self.facts = facts
        self.dataset: str = facts["dataset"]
        self.section: Mapping[str, Any] = facts["section"]
        self.work = Path(facts["work"], self.dataset)
        self.splits: Mapping[str, list[str]] = facts["splits"]
        self._digests: dict[tuple[str, str], str] = {}

    @classmethod
    def make(cls, dataset: str, config: Mapping[str, Any], wanted: bool = True) -> "Plan":
        """Plan `dataset`; unless it is `wanted`, its raw files are not looked at.

        Raises `BadInput` where raw files are needed and missing.
        """
        section = config[dataset]
        rows = manifest.read_scans(Path(section["scans"]))
        rows = [row for row in rows if row["split"] in ("train", "val")]
        facts: dict[str, Any] = {
            "dataset": dataset,
            "store": os.environ.get("SCAN_STORE", config["store"]),
            "work": config["work"],
            "results": config["results"],
            "section": section,
            "splits": {s: [r["scan"] for r in rows if r["split"] == s] for s in ("train", "val")},
            "seeds": {row["scan"]: int(row.get("seed") or 0) for row in rows},
            "classes": manifest.read_classes(Path(section["classes"])),
        }
        tags = section["tags"]
        if tags["source"] == "file":
            facts["tags"] = manifest.read_tags(Path(tags["file"]), facts["classes"])
        facts["weights"] = _weights_identity(section["embeddings"], Path(facts["store"]))
        plan = cls(facts)
        facts["raw_digests"] = plan._raw_digests(wanted)
        facts["keys"] = plan.keys
        if wanted:
            plan._require_raw_data()
        return plan

    def write(self) -> Path:
        """Write the facts for the jobs, into a file named by its content."""
        text = json.dumps(self.facts, sort_keys=True)
        path = self.work / "plans" / f"{provenance.digest(text)}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}")
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, path)
        return path

    @classmethod
    def load(cls, path: Path) -> "Plan":
        """Read a plan; raises `BadInput` where the code has changed since it was made."""
        plan = cls(json.loads(path.read_text(encoding="utf-8")))
        changed = [s for s, key in plan.facts["keys"].items() if plan.keys[s] != key]
        if changed:
            raise BadInput(
                path,
                f"the code of {changed[0]} has changed since this run was planned",
                "run again",
            )
        return plan

    # Stages

    @property
    def simulated(self) -> bool:
        """Whether the scans are made by `simulate` instead of read from a download."""
        return "simulate" in self.section

    @cached_property
    def recipes(self) -> dict[str, dict[str, Any]]:
        """The recipe of every stage, upstream before downstream."""
        recipes: dict[str, dict[str, Any]] = {}

        def add(stage: str, modules: list[str], upstream: tuple[str, ...]) -> None:
            params = self._identity(self.params(stage))
            recipes[stage] = provenance.recipe(
                stage, modules, params, {u: provenance.key(recipes[u]) for u in upstream}
            )

        if self.simulated:
            add("simulate", ["pipeline.simulate.scan"], ())
        add("text", ["pipeline.text"], ())
        for stage in PER_SCAN:
            reader = [f"pipeline.{self.section['reader']}.{RAW[stage]}"] if stage in RAW else []
            add(stage, [f"pipeline.{stage}", *reader], self.upstream(stage))
        for stage, upstream in PER_RUN.items():
            add(stage, [MODULE[stage]], upstream)
        add("evaluate", [MODULE["evaluate"]], (*PER_RUN, "pseudo_labels", "labels"))
        return recipes

    @cached_property
    def keys(self) -> dict[str, str]:
        """The key of every stage."""
        return {stage: provenance.key(recipe) for stage, recipe in self.recipes.items()}

    def upstream(self, stage: str) -> tuple[str, ...]:
        """The stages that a per-scan stage reads; tags from a file need no labels."""
        if stage == "tags" and self.section["tags"]["source"] == "file":
            return ()
        return PER_SCAN[stage]

    def params(self, stage: str) -> dict[str, Any]:
        """What the stage is told, beside its inputs."""
        params = dict(self.section.get(stage) or {})
        classes = self.facts["classes"]
        if stage == "labels":
            params["classes"] = [{"name": c["name"], "nyu40": c["nyu40"]} for c in classes]
        elif stage == "tags":
            params["classes"] = [c["name"] for c in classes]
            params["file"] = self.facts.get("tags")
        elif stage == "text":
            tower = self.section["embeddings"]
            params["classes"] = [{"name": c["name"], "prompts": c["prompts"]} for c in classes]
            params |= {"model": tower["model"], "pretrained": tower["pretrained"]}
        elif stage == "ceiling":
            params = dict(self.section["train"])
        if stage in PER_RUN:  # which runs there are is no matter of a single run
            params = {k: v for k, v in params.items() if k not in ("variants", "seeds")}
        return params

    def _identity(self, params: dict[str, Any]) -> dict[str, Any]:
        """Parameters with the content of weights in the place of their path."""
        if "pretrained" in params and self.facts["weights"]:
            return {**params, "model": None, "pretrained": self.facts["weights"]}
        return params

    # Entries

    @property
    def scans(self) -> list[str]:
        """All scans, those to train on first."""
        return [*self.splits["train"], *self.splits["val"]]

    @property
    def batches(self) -> list[list[str]]:
        """The scans in groups that share one loading of the image tower."""
        return [self.scans[i : i + BATCH] for i in range(0, len(self.scans), BATCH)]

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
        """What is evaluated: fused 2D embeddings, pseudo-labels and every network."""
        raw = self.facts["raw_digests"]
        labelled = all("labels" in raw.get(scan, ()) for scan in self.splits["train"])
        own = ["fused", *(["pseudo_labels"] if labelled else [])]
        return [*own, *self.runs["train"], *self.runs["ceiling"]]

    def inputs(self, stage: str, name: str) -> list[tuple[str, str]]:
        """The entries, as (stage, name), that the entry `name` of `stage` is made from."""
        train, val = self.splits["train"], self.splits["val"]

        def of(stages: tuple[str, ...], scans: list[str]) -> list[tuple[str, str]]:
            return [(s, "classes") for s in stages if s == "text"] + [
                (s, scan) for s in stages if s != "text" for scan in scans
            ]

        if stage in PER_SCAN:
            return of(self.upstream(stage), [name])
        if stage in PER_RUN:
            return of(PER_RUN[stage], train)
        if stage == "evaluate" and name == "fused":
            return of(("text", "targets", "voxels", "labels"), val)
        if stage == "evaluate" and name == "pseudo_labels":
            return of(("targets", "pseudo_labels", "voxels", "labels"), train)
        if stage == "evaluate":
            trainer = "ceiling" if name in self.runs["ceiling"] else "train"
            return [(trainer, name), *of(("voxels", "labels"), val)]
        return []

    def digest(self, stage: str, name: str) -> str:
        """What identifies the raw files that an entry goes back to."""
        known = self._digests.get((stage, name))
        if known is None:
            if stage in RAW:
                raw = self.facts["raw_digests"].get(name, {})
                known = raw.get(RAW[stage], "unknown")[:12]
            else:
                parents = (self.digest(*parent) for parent in self.inputs(stage, name))
                known = provenance.digest(stage, name, *parents)
            self._digests[stage, name] = known
        return known

    def link(self, stage: str, name: str) -> Path:
        """Where the work tree has the entry."""
        suffix = SUFFIX.get(stage, "zarr.zip")
        return self.work / stage / self.keys[stage] / f"{name}.{suffix}"

    def home(self, stage: str, name: str) -> Path:
        """Where the store has the entry."""
        folder = Path(self.facts["store"], self.dataset, stage, self.keys[stage])
        return folder / f"{name}@{self.digest(stage, name)}.{SUFFIX.get(stage, 'zarr.zip')}"

    @property
    def entries(self) -> list[tuple[str, str]]:
        """All entries of this plan as (stage, name)."""
        return [
            ("text", "classes"),
            *((stage, scan) for stage in PER_SCAN for scan in self.scans),
            *((stage, run) for stage, runs in self.runs.items() for run in runs),
            *(("evaluate", name) for name in self.scores),
        ]

    @property
    def results(self) -> Path:
        """The folder of the tables, named by all that they come from: never out of date."""
        parts = (self.keys["evaluate"], *(self.digest("evaluate", name) for name in self.scores))
        return Path(self.facts["results"], self.dataset, provenance.digest(*parts))

    def adopt(self) -> None:
        """Link what the store already holds, before anything is planned."""
        pairs = [(self.link(*entry), self.home(*entry)) for entry in self.entries]
        store.adopt([*pairs, (self.results.parent / "latest", self.results)])

    # Raw files

    @property
    def raw(self) -> Path:
        """The root of the raw files: the user's download, or what `simulate` writes."""
        if self.simulated:
            return self.work / "raw" / provenance.key(self.recipes["simulate"])
        return Path(self.section["raw"])

    def files(self, scan: str) -> manifest.Files:
        """The raw files of one scan by group; raises `BadInput` where some are missing."""
        reader = import_module(f"pipeline.{self.section['reader']}.files")
        return reader.scan_files(self.raw, scan)

    def _raw_digests(self, wanted: bool) -> dict[str, dict[str, str]]:
        if self.simulated:  # a simulated scan is what its seed and its recipe say
            key = provenance.key(self.recipes["simulate"])
            return {
                scan: {
                    group: provenance.digest(key, scan, split, str(self.facts["seeds"][scan]))
                    for group in RAW.values()
                }
                for split, scans in self.splits.items()
                for scan in scans
            }
        here = wanted and self.raw.is_dir()
        return manifest.raw_digests(
            {scan: self.files(scan) if here else None for scan in self.scans},
            Path(self.facts["store"], self.dataset, "raw"),
            f"{self.dataset}: reading the raw files once, to know them again",
        )

    def _require_raw_data(self) -> None:
        """Stop before any job where an entry is absent that only raw files can give."""
        if self.simulated or self.raw.is_dir():
            return
        stages = [s for s in RAW if s != "labels" or self.section["tags"]["source"] == "dense"]
        for scan in self.scans:
            if any(not self.home(stage, scan).exists() for stage in stages):
                raise BadInput(
                    self.raw,
                    f"there is no {self.dataset} download here, and the store lacks {scan}",
                    f"get the data as data_manifest/{self.section['reader']}/README.md says and "
                    f"set `{self.dataset}: raw:` in workflow/config.yaml to its folder",
                )


def _weights_identity(tower: Mapping[str, Any], store: Path) -> str | None:
    """SHA-256 of weights that are local files; None for a tag, which names its weights itself."""
    files: dict[str, Path] = {}
    if tower["model"].startswith("local-dir:"):
        folder = Path(tower["model"].removeprefix("local-dir:"))
        files = {path.name: path for path in sorted(folder.iterdir()) if path.suffix != ".md"}
    elif tower["pretrained"] and Path(tower["pretrained"]).is_file():
        files = {"weights": Path(tower["pretrained"])}
    if not files:
        return None
    name = provenance.digest(*(str(path.absolute()) for path in files.values()))
    found = manifest.raw_digests({name: {"weights": files}}, store / "weights", "reading weights")
    return found[name]["weights"]
