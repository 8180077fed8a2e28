"""Which entries a run needs, and for every entry its inputs and its place.

A plan is made once, before any job, from the config, the code and the identity of the raw files. It
is written to a file that the jobs read: a job whose code has changed since then refuses to run.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.plan import manifest, provenance, rawdata
from pipeline.plan.graph import PER_RUN, PER_SCAN, RAW, Stages
from pipeline.store import filesystem, links

SUFFIX = {"train": "safetensors", "ceiling": "safetensors", "evaluate": "json"}

Entry = tuple[str, str]  # stage and name


class Plan(Stages):
    """The entries of one dataset under one config."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        """`facts` as `make` gathers them."""
        super().__init__(facts)
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
        links.adopt((self.link(*entry), self.home(*entry)) for entry in self.entries)
        if self.simulated:  # Snakemake sets the times of what it has made
            for done in self.raw.glob("*.done"):
                filesystem.reset_time(done)
        links.show_latest(self.results)

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
