"""Stage evaluate: labels beside ground truth, counted; scores are computed by the report."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model.stages.runs import seed_of
from pipeline.facts import (
    FUSED,
    PSEUDO_LABELS,
    REFINED_LABELS,
    SELF_TRAINED,
    SUPERVISED,
    Facts,
)
from pipeline.stages.declaration import Entry, Over, Request, Stage, of_scans


class EvaluateStage(Stage):
    """Confusion matrices of a network on the validation scans, over points and over voxels."""

    over = Over.SCORE
    reads: tuple[str, ...] = (
        *("voxels", "targets", "pseudo_labels", "text", "labels"),
        *("refined_labels", "train", "supervised", "imported"),
    )
    packages = ("numpy", "spconv-cu120", "torch")
    suffix = "json"
    memory_mb, minutes = 8000, 120

    def sources(self, facts: Facts, name: str) -> list[Entry]:
        """The entries behind a score: fused embeddings, labels, or a network's."""
        train, val = facts.splits["train"], facts.splits["val"]
        if name == FUSED:
            return of_scans(("text", "targets", "voxels", "labels"), val)
        if name == PSEUDO_LABELS:
            return of_scans(("targets", "pseudo_labels", "voxels", "labels"), train)
        if run := _learner(name):
            return [("refined_labels", run), *of_scans(("targets", "voxels", "labels"), train)]
        trainer = facts.trainer(name)
        images = () if trainer == SUPERVISED else ("text", "targets")
        return [(trainer, name), *of_scans((*images, "voxels", "labels"), val)]

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
    learner = _learner(name)
    split = "train" if learner or name == PSEUDO_LABELS else "val"
    names = facts.splits[split]
    scans = [
        LabelledScan(scan, *(request.path(stage, scan) for stage in ("voxels", "labels")))
        for scan in names
    ]
    if not learner and name not in (FUSED, PSEUDO_LABELS):
        return _results_of_network(request, scans)
    targets, needs = [request.path("targets", scan) for scan in names], _needs(facts)
    if name == FUSED:
        return counting.count_fused(scans, targets, request.path("text"), split, needs)
    if learner:
        needs |= _needs_of(facts.section["train"].get("labels"))
        refined = request.path("refined_labels", learner)
        found = counting.count_refined_labels(scans, targets, refined, split, needs)
        return [found | {"seed": seed_of(learner)}]
    labels = [request.path("pseudo_labels", scan) for scan in names]
    return [
        counting.count_pseudo_labels(scans, targets, labels, split, filtered, needs_of_labels)
        for filtered, needs_of_labels in (
            (False, needs),
            (True, needs | _needs_of(facts.section.get("pseudo_labels"))),
        )
    ]


def _results_of_network(request: Request, scans: Sequence[Any]) -> list[dict[str, Any]]:
    from model.scoring.evaluate import Images, evaluate_network  # slow to import

    name, facts = request.name, request.facts
    trainer, images = facts.trainer(name), None
    if trainer != SUPERVISED:  # whose classes are no text
        targets = [request.path("targets", scan) for scan in facts.splits["val"]]
        images = Images(targets, request.path("text"), _needs(facts))
    return evaluate_network(request.path(trainer, name), scans, "val", images)


def _learner(name: str) -> str | None:
    """The run whose refined labels a score is of, if it is of such labels."""
    kind, _, seed = name.partition("-")
    return f"{SELF_TRAINED[0]}-{seed}" if kind == REFINED_LABELS else None


def _needs(facts: Facts) -> set[str]:
    """What of a scan its fused embeddings are made from."""
    pooled = (facts.section.get("targets") or {}).get("segments")
    return {"images", "superpoints"} if pooled else {"images"}


def _needs_of(choice: Mapping[str, Any] | None) -> set[str]:
    """What of a scan labels need that are chosen by these settings."""
    pooled = (choice or {}).get("superpoints", "none") != "none"
    return {"tags", "superpoints"} if pooled else {"tags"}
