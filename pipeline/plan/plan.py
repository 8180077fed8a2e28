"""Which entries a run needs, and for every entry its inputs and its place.

A plan is made once, before any job (`pipeline.plan.making`), from the config, the code and the
identity of the raw files. It is written to a file that the jobs read: a job whose code has changed
since then refuses to run.
"""

import json
import re
import sys
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.facts import Facts, raw_root
from pipeline.plan import graph, keys, provenance
from pipeline.stages.declaration import ONLY, Entry, Over
from pipeline.store import filesystem, links, notes
from pipeline.whole_file import replaced

UNKNOWN = "unknown"  # the digest of raw files that are neither here nor recorded


class Plan:
    """The entries of one dataset under one config."""

    def __init__(self, facts: Facts) -> None:
        """Keys that `facts` do not have are computed from the code of now."""
        self.facts = facts
        self.dataset, self.section, self.splits = facts.dataset, facts.section, facts.splits
        row = f"ablation_{plain(facts.row)}" if facts.row else None
        self.parts = [part for part in (facts.dataset, facts.fold, row) if part]
        self.work = Path(facts.work, facts.dataset)
        # A fold has splits of its own, so what depends on them has a folder of its own.
        self.own = Path(self.work, facts.fold or "")
        self.path = Path(facts.work, *self.parts, "plan.json")  # where the jobs of a run find it
        self._digests: dict[Entry, str] = {}
        self._folders: dict[str, Path] = {}  # of links: thousands of scans ask for each

    @cached_property
    def keys(self) -> dict[str, str]:
        """The key of every stage."""
        return dict(self.facts.keys or keys.all_keys(self.facts))

    @cached_property
    def stages(self) -> list[str]:
        """All stages, upstream before downstream."""
        return graph.stages(self.facts)

    def write(self, keep_going: bool = False, path: Path | None = None) -> None:
        """Write the plan for the jobs, which note what they could not make if the run goes on."""
        content = replace(self.facts, keys=self.keys, keep_going=keep_going).to_json()
        with replaced(path or self.path) as partial:
            partial.write_text(json.dumps(content, sort_keys=True), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, stage: str | None = None) -> "Plan":
        """Read a plan; raises `BadInput` where the code of `stage` has changed since it was made.

        The other stages' code is not looked at, and their keys are not computed again: a job is
        short.
        """
        try:
            plan = cls(Facts.from_json(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError) as error:
            what = f"cannot be read as a plan ({getattr(error, 'strerror', None) or error})"
            raise BadInput(path, what, "run snakemake, which writes it") from error
        if stage and keys.key(plan.facts, stage, plan.keys) != plan.keys[stage]:
            what = f"the code of {stage} has changed since the run was planned"
            raise BadInput(path, what, "run snakemake again")
        return plan

    def recipe(self, stage: str) -> dict[str, Any]:
        """What determines the entries of a stage, by the code of now."""
        return keys.recipe(self.facts, stage, self.keys)

    def own_recipe(self, stage: str) -> dict[str, Any] | None:
        """The recipe that the key of a stage names; None if it is blessed to keep an older key."""
        recipe = self.recipe(stage)
        return recipe if provenance.key(recipe) == self.keys[stage] else None

    @cached_property
    def entries(self) -> list[Entry]:
        """All entries that the results are made from, upstream before downstream."""
        needed: dict[str, dict[str, None]] = {stage: {} for stage in self.stages}
        needed["report"][ONLY] = None
        for stage in reversed(self.stages):
            for name in needed[stage]:
                for above, source in self.inputs(stage, name):
                    needed[above][source] = None
        stored = [stage for stage in self.stages if graph.stage(stage).stored]
        return [(stage, name) for stage in stored for name in sorted(needed[stage])]

    @cached_property
    def _needed(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {stage: set() for stage in self.stages}
        for stage, name in self.entries:
            found[stage].add(name)
        return found

    def needed(self, stage: str) -> Collection[str]:
        """The scans of which the results need what a stage makes: all, of what is not stored."""
        return self._needed[stage] if graph.stage(stage).stored else self.facts.scans

    def upstream(self, stage: str) -> tuple[str, ...]:
        """The stages that a stage reads."""
        return graph.stage(stage).upstream(self.facts)

    def inputs(self, stage: str, name: str) -> list[Entry]:
        """The entries that the entry `name` of `stage` is made from."""
        return graph.inputs(self.facts, stage, name)

    def digest(self, stage: str, name: str) -> str:
        """What identifies the raw files that an entry is made from."""
        known = self._digests.get((stage, name))
        if known is None:
            declared = graph.stage(stage)
            group, groups = declared.raw_group(self.facts), self.facts.raw_digests.get(name, {})
            own = [groups.get(group, UNKNOWN)[:12]] if group else []
            if declared.raw:
                known = own[0]
            else:
                parents = (self.digest(*parent) for parent in self.inputs(stage, name))
                known = provenance.digest(stage, name, *own, *parents)
            self._digests[stage, name] = known
        return known

    def link(self, stage: str, name: str) -> Path:
        """Where the work tree has the entry."""
        if stage not in self._folders:
            folder = self.own if graph.per_split(stage) else self.work
            self._folders[stage] = folder / stage / self.keys[stage]
        return self._folders[stage] / f"{name}.{graph.stage(stage).suffix}"

    def home(self, stage: str, name: str) -> Path:
        """Where the store has the entry."""
        folder = Path(self.facts.store, self.dataset, stage, self.keys[stage])
        return folder / f"{name}@{self.digest(stage, name)}.{graph.stage(stage).suffix}"

    def scratch(self, stage: str, name: str) -> Path:
        """Where an unfinished training has its checkpoints: private, and resumed from."""
        return self.work / "scratch" / stage / self._marked(stage, name)

    def training_log(self, stage: str, name: str) -> Path:
        """Where a training can be watched: a folder that stays, and is of this run alone."""
        return self.path.with_name("training") / stage / self._marked(stage, name)

    def _marked(self, stage: str, name: str) -> str:
        """The name of an entry with a mark of all that determines it."""
        return f"{name}-{provenance.digest(self.keys[stage], self.digest(stage, name))}"

    @property
    def raw(self) -> Path:
        """The root of the raw files: the user's download, or what `simulate` writes."""
        if self.facts.simulated:
            return self.work / "raw" / self.keys["simulate"]
        return raw_root(self.section)

    @property
    def records(self) -> Path:
        """Where the store remembers the digests of the raw files."""
        return Path(self.facts.store, self.dataset, "raw")

    @property
    def results(self) -> Path:
        """The folder of the tables, named by all that they are made from: never out of date."""
        mark = provenance.digest(self.keys["report"], self.digest("report", ONLY))
        return Path(self.facts.results, self.dataset, mark)

    def page(self, results: Path) -> Path:
        """The page about the tables in a folder, named also by the code that makes pages.

        The folder of the tables has links to it, and to the run.json beside it.
        """
        mark = provenance.digest(self.keys["page"], results.name)
        return results.parent / "pages" / mark / links.PAGE[0]

    @cached_property
    def clouds(self) -> Path:
        """The folder of labelled clouds, named like `results`; in it a folder for each scan."""
        parts = [self.digest("clouds", scan) for scan in self.facts.scans]
        mark = provenance.digest(self.keys["clouds"], *parts)
        return Path(self.facts.results, self.dataset, "clouds", mark)

    def cloud_files(self) -> Iterator[Path]:
        """All labelled clouds: of each scan, by each network."""
        for scan in self.facts.scans:
            yield from self.places("clouds", scan)

    def places(self, stage: str, name: str) -> list[Path]:
        """The files of the work tree by which Snakemake knows what a stage makes of `name`."""
        if stage == "clouds":
            return [self.clouds / name / f"{cloud}.ply" for cloud in self.facts.clouds]
        if stage == "simulate":
            return [self.raw / f"{name}.{graph.stage(stage).suffix}"]
        return [self.link(stage, name)]

    def notes(self) -> Iterator[tuple[Path, notes.Note]]:
        """What a run that went on could not make, each with the note in its place."""
        stages = [stage for stage in self.stages if graph.stage(stage).over is Over.SCAN]
        for stage in stages:
            # Clouds have a folder for each scan, other stages one for all.
            scans = self.facts.scans if stage == "clouds" else self.facts.scans[:1]
            places = (path.parent for scan in scans for path in self.places(stage, scan))
            for folder in dict.fromkeys(places):
                yield from notes.find(folder)

    def remove_notes(self) -> None:
        """Forget what an earlier run could not make: this one tries again."""
        for path, _ in self.notes():
            path.unlink(missing_ok=True)

    def adopt(self) -> None:
        """Link what the store already has, before anything is planned."""
        self.remove_notes()
        pairs = [(self.link(*entry), self.home(*entry)) for entry in self.entries]
        links.adopt(pairs)
        if self.results.is_dir() and not any(link.is_symlink() for link, _ in pairs):
            said = "the store has none of the entries behind the tables; to make them, remove "
            print(f"{self.dataset}: {said}{self.results}", file=sys.stderr, flush=True)
        if self.facts.simulated:  # Snakemake sets the times of what it has made
            for done in self.raw.glob("*.done"):
                filesystem.reset_time(done)
        links.show_latest(self.results)
        links.show_page(self.results, self.page(self.results))
        links.show_latest(self.clouds)


def plain(name: str) -> str:
    """A name as it can be in the names of rules and folders: lower case letters, digits and _."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
