"""Stage page: one HTML page about the results of a dataset, with pictures of some scans."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.stages.runs import seed_of
from pipeline.facts import FUSED, PSEUDO_LABELS, Facts, in_rounds
from pipeline.stages.declaration import ONLY, Entry, Over, Request, Stage, of_scans

if TYPE_CHECKING:
    from model.pages.scans import Scan

TEMPLATES = Path(__file__).parents[1] / "pages"
_OWN = 4  # scans without labels that are shown


class PageStage(Stage):
    """A page about the results, which needs no other file."""

    over = Over.DATASET
    reads = (
        *("report", "voxels", "labels", "targets", "text", "pseudo_labels"),
        *("train", *in_rounds("retrain"), "supervised", "imported"),
    )
    packages = ("jinja2", "matplotlib", "numpy", "pillow", "spconv-cu120", "torch")
    suffix = "html"
    stored = False
    memory_mb, minutes = 16000, 120

    def upstream(self, facts: Facts) -> tuple[str, ...]:
        """Without rounds that there are not."""
        absent = {*in_rounds("retrain")} - {*in_rounds("retrain", facts.rounds)}
        return tuple(stage for stage in self.reads if stage not in absent)

    def sources(self, facts: Facts, name: str) -> list[Entry]:
        """The tables, all networks, and the scans of which some are shown."""
        found = [("report", ONLY)]
        found += [(facts.trainer(run), run) for run in (*facts.networks, *facts.imported)]
        if not facts.scored:
            return [*(source for source in found if source[0] != "imported"), *_voxels(facts)]
        found += [("text", ONLY), *of_scans(("voxels", "labels", "targets"), facts.splits["val"])]
        if PSEUDO_LABELS in facts.scores:
            stages = ("voxels", "labels", "targets", "pseudo_labels")
            found += of_scans(stages, facts.splits["train"])
        return found

    def params(self, facts: Facts) -> dict[str, Any]:
        """The colours of the classes, and by which protocol scans are the best and the worst."""
        colors = {c["name"]: c["color"] for c in facts.classes if "color" in c}
        return {"colors": colors, "protocol": facts.protocol}

    def key_params(self, facts: Facts) -> dict[str, Any]:
        """With what the templates say, which is not in the meaning of code."""
        files = sorted([*TEMPLATES.glob("*.j2"), *TEMPLATES.glob("*.css")])
        said = {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in files}
        return self.params(facts) | {"templates": said}


class Worker:
    """Writes the page of one dataset."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = params

    def __call__(self, path: Path, request: Request, asked: Mapping[str, Any]) -> None:
        """Write `path` (.html); `asked` is the content of run.json."""
        from model.pages import curves
        from model.pages.page import legend_of, render
        from model.pages.scans import Painter
        from pipeline.palette import palette

        facts, table = request.facts, json.loads(request.path("report").read_text(encoding="utf-8"))
        names = [row["name"] for row in facts.classes]
        colors = palette(names, self.params["colors"])
        scored = facts.scored
        run, text = judged(facts), request.path("text") if scored else None
        painter = Painter(colors, _networks(request), _title(facts, run), text)
        scans = [painter.paint(scan) for scan in self._scans(request, table)]
        shown = sorted({k for scan in scans for k in scan.classes})
        trained = {run: request.path(facts.trainer(run), run) for run in facts.networks}
        legend = legend_of(names, colors, shown, scored)
        drawn, judge = curves.charts_of(trained), painter.judged if scored else ""
        content = render(table, asked, drawn, scans, legend, judge)
        path.write_text(content, encoding="utf-8")

    def _scans(self, request: Request, table: Mapping[str, Any]) -> "list[Scan]":
        """The best, the median and the worst of those that are scored, and one trained on.

        Without labels, the first ones.
        """
        from model.pages.scans import Scan, picked, ranked

        facts, protocol = request.facts, self.params["protocol"]
        if not facts.scored:
            splits = {scan: split for split in ("val", "train") for scan in facts.splits[split]}
            first = list(splits.items())[:_OWN]
            return [Scan(s, f"{split} scan", request.path("voxels", s)) for s, split in first]
        by_row = {(r["row"], r.get("seed")): r for r in table["results"]}
        run = judged(facts)
        judge = by_row[(run.rpartition("-")[0], seed_of(run)) if run else (FUSED, None)]
        what = f"by {run}" if run else "by fused 2D"
        found = [
            _scan(request, scan, f"{about} {what}, of the scans that are scored")
            for scan, about in picked(ranked(judge, protocol)).items()
        ]
        labels = by_row.get((PSEUDO_LABELS, None))
        learnt = picked(ranked(labels, protocol), ["median"]) if labels else {}
        for scan, about in learnt.items():
            said = f"{about} by pseudo-labels, of the scans trained on"
            found.append(_scan(request, scan, said))
        return found


def judged(facts: Facts) -> str | None:
    """The network by which scans are the best and the worst; None if only 2D is scored."""
    networks = facts.weak_networks or facts.networks
    variants = [run.rpartition("-")[0] for run in networks]
    return networks[variants.index(variants[-1])] if networks else None


def _networks(request: Request) -> dict[str, Path]:
    """Title -> network, of the first seed of each variant that needs no dense labels."""
    facts, found = request.facts, dict[str, Path]()
    own = facts.weak_networks or facts.networks
    for run in [*own, *(facts.imported if facts.scored else ())]:
        found.setdefault(_title(facts, run), request.path(facts.trainer(run), run))
    return found


def _title(facts: Facts, run: str | None) -> str:
    """The short name of a network, as in the tables; of fused embeddings if there is none."""
    from model.pages.scans import FUSED_2D
    from model.reports.lines import about

    if run is None:
        return FUSED_2D
    return about(run if run in facts.imported else run.rpartition("-")[0])[0]


def _scan(request: Request, scan: str, about: str) -> "Scan":
    from model.pages.scans import Scan

    stages = ("voxels", "labels", "targets", "pseudo_labels")
    paths = {stage: request.inputs.get((stage, scan)) for stage in stages}
    return Scan(scan, about, request.path("voxels", scan), **{s: paths[s] for s in stages[1:]})


def _voxels(facts: Facts) -> list[Entry]:
    return of_scans(("voxels",), facts.scans)
