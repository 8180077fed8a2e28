"""Stage report: the tables of a dataset, from counts, or from labelled clouds if there are none."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from model.scoring import protocols
from pipeline.facts import Facts, in_rounds
from pipeline.stages.declaration import Entry, Over, Request, Stage, of_scans


class ReportStage(Stage):
    """Tables of scores, or of what was seen and found in scans without labels."""

    over = Over.DATASET
    reads = ("evaluate", *in_rounds("evaluate"), "clouds", "voxels", "projections")
    packages = ("numpy",)
    suffix = "txt"
    stored = False
    memory_mb, minutes = 1000, 10

    def upstream(self, facts: Facts) -> tuple[str, ...]:
        """Counts, or else labelled clouds and what frames have seen."""
        if facts.scored:
            return ("evaluate", *in_rounds("evaluate", facts.rounds))
        return ("clouds", "voxels", "projections")

    def sources(self, facts: Facts, name: str) -> list[Entry]:
        """All counts; or the clouds and entries of all scans."""
        if facts.scored:
            return [(facts.evaluator(name), name) for name in facts.scores]
        return of_scans(self.upstream(facts), facts.scans)

    def parts(self, facts: Facts) -> dict[str, str]:
        """All protocols: a new one changes the tables and nothing else."""
        known = protocols.names(grouped=facts.groups is not None)
        return {name: f"{protocols.__name__}.{name}" for name in known}

    def params(self, facts: Facts) -> dict[str, Any]:
        """What the tables say besides what they are made from."""
        names = (facts.tags or {}).items()
        tagged = [s for s, classes in names if len(classes) not in (0, len(facts.classes))]
        groups = facts.groups
        grouped = {} if groups is None else {"groups": groups}
        return grouped | {
            "dataset": facts.dataset,
            "protocol": facts.protocol if groups is None else protocols.GROUPED[0],
            "protocols": list(protocols.names(grouped=groups is not None)),
            "simulated": facts.simulated,
            "left_out": list(facts.left_out),
            "tagged": sum(scan in facts.splits["train"] for scan in tagged),
        }


class Worker:
    """Writes the tables of one dataset."""

    def __init__(self, params: Mapping[str, Any], parts: Mapping[str, ModuleType]) -> None:
        self.params = params

    def __call__(self, path: Path, request: Request) -> str:
        """Write `path` (.txt) and beside it .json and .csv; return the text."""
        if not request.facts.scored:
            return self._summary(path, request)
        from model.reports.lines import grouped
        from model.reports.report import write_report
        from model.scoring.results import read_results

        results = [
            result
            for name in request.facts.scores
            for result in read_results(request.path(request.facts.evaluator(name), name))
        ]
        params, prefix = self.params, path.with_suffix("")
        results = grouped(results, params.get("groups"))
        return write_report(
            results, prefix, params["dataset"], params["protocol"], simulated=params["simulated"]
        )

    def _summary(self, path: Path, request: Request) -> str:
        from model.data.entries import read_entry
        from model.reports.summary import summarise, write_summary

        facts, scans = request.facts, []
        for split, names in facts.splits.items():
            for scan in names:
                folder = request.path("clouds", scan)
                ply = {run: folder / f"{name}.ply" for name, run in facts.clouds.items()}
                voxels, projections = (
                    read_entry(request.path(stage, scan)) for stage in ("voxels", "projections")
                )
                scans.append(summarise(scan, split, voxels, projections, ply))
        count, tagged = len(facts.splits["train"]), self.params["tagged"]
        notes = [
            f"Trained on {count} scan{'s' * (count != 1)}, of which {tagged or 'none'} had "
            "scene tags."
        ]
        notes += [f"Left out: {sentence}" for sentence in self.params["left_out"]]
        return write_summary(scans, path.with_suffix(""), facts.dataset, notes)
