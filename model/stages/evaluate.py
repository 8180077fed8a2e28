"""Stage evaluate: labels beside ground truth, counted; scores are computed by the report."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.facts import FUSED, PSEUDO_LABELS, Facts
from pipeline.stages.declaration import Entry, Over, Request, Stage, of_scans


class EvaluateStage(Stage):
    """Confusion matrices of a network on the validation scans, over points and over voxels."""

    over = Over.SCORE
    reads: tuple[str, ...] = (
        *("voxels", "targets", "pseudo_labels", "text", "labels"),
        *("train", "supervised"),
    )
    packages = ("numpy", "spconv-cu120", "torch")
    suffix = "json"
    memory_mb, minutes = 8000, 120

    def sources(self, facts: Facts, name: str) -> list[Entry]:
        """The entries behind a score: fused embeddings, pseudo-labels, or a network's."""
        train, val = facts.splits["train"], facts.splits["val"]
        if name == FUSED:
            return of_scans(("text", "targets", "voxels", "labels"), val)
        if name == PSEUDO_LABELS:
            return of_scans(("targets", "pseudo_labels", "voxels", "labels"), train)
        return [(facts.trainer(name), name), *of_scans(("voxels", "labels"), val)]

    def params(self, facts: Facts) -> dict[str, Any]:
        """There are none."""
        return {}


class Worker:
    """Counts for one score after another."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        pass

    def __call__(self, path: Path, request: Request) -> None:
        """Write the entry's name and a list of results as JSON to `path`."""
        content = {"entry": request.entry, "results": _results(request)}
        path.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")


def _results(request: Request) -> list[dict[str, Any]]:
    from model.data.labels import LabelledScan
    from model.scoring import counting

    name, facts = request.name, request.facts
    split = "train" if name == PSEUDO_LABELS else "val"
    names = facts.splits[split]
    scans = [
        LabelledScan(scan, *(request.path(stage, scan) for stage in ("voxels", "labels")))
        for scan in names
    ]
    if name == FUSED:
        targets = [request.path("targets", scan) for scan in names]
        return [counting.count_fused(scans, targets, request.path("text"), split)]
    if name == PSEUDO_LABELS:
        targets = [request.path("targets", scan) for scan in names]
        labels = [request.path("pseudo_labels", scan) for scan in names]
        return [
            counting.count_pseudo_labels(scans, targets, labels, split, filtered)
            for filtered in (False, True)
        ]
    from model.scoring.evaluate import evaluate_network

    return [evaluate_network(request.path(facts.trainer(name), name), scans, split)]
