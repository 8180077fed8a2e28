"""Stage page: one HTML page about the results of a dataset, with pictures of some scans."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.stages.runs import seed_of
from pipeline.facts import FUSED, PSEUDO_LABELS, Facts, in_rounds
from pipeline.stages.declaration import ONLY, Entry, Over, Request, Stage, of_scans

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model.pages.pictures import ShownScan
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
            return [*found, *_voxels(facts)]
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
        from model.pages.curves import charts_of

        facts, table = request.facts, json.loads(request.path("report").read_text(encoding="utf-8"))
        chosen = self.scored(facts, table) | self.learnt(table) if facts.scored else _first(facts)
        trained = {run: request.path(facts.trainer(run), run) for run in facts.networks}
        scans = self.paint(request, chosen)
        path.write_text(self.render(facts, table, asked, scans, charts_of(trained)), "utf-8")

    def scored(self, facts: Facts, table: Mapping[str, Any]) -> dict[str, str]:
        """The best, the median and the worst scan of those that are scored, and why it is shown.

        `table` is the content of table.json, of the dataset or of its folds.
        """
        run = judged(facts)
        kind = (run.rpartition("-")[0], seed_of(run)) if run else (FUSED, None)
        why = f"by {run or 'fused 2D'}, of the scans that are scored"
        return self._picked(table, kind, ("best", "median", "worst"), why)

    def learnt(self, table: Mapping[str, Any]) -> dict[str, str]:
        """The median scan by its pseudo-labels, and why it is shown; none if they have no score."""
        why = "by pseudo-labels, of the scans trained on"
        return self._picked(table, (PSEUDO_LABELS, None), ("median",), why)

    def _picked(
        self,
        table: Mapping[str, Any],
        kind: tuple[str, int | None],
        places: Sequence[str],
        why: str,
    ) -> dict[str, str]:
        from model.pages.scans import picked, ranked
        from model.reports.folds import HELD_OUT

        found = [r for r in table["results"] if (r["row"], r.get("seed")) == kind]
        pooled = [result for result in found if result["split"] == HELD_OUT]
        if not found:
            return {}
        scores = ranked((pooled or found)[0], self.params["protocol"])
        return {scan: f"{about} {why}" for scan, about in picked(scores, places).items()}

    def paint(self, request: Request, chosen: Mapping[str, str]) -> "list[ShownScan]":
        """Draw some scans (name -> why it is shown) with the networks of the request."""
        from model.pages.scans import Painter

        facts = request.facts
        text = request.path("text") if facts.scored else None
        judge = _title(facts, judged(facts))
        painter = Painter(self._colors(facts), _networks(request), judge, text)
        return [painter.paint(_scan(request, scan, why)) for scan, why in chosen.items()]

    def render(
        self,
        facts: Facts,
        table: Mapping[str, Any],
        asked: Mapping[str, Any],
        scans: "Sequence[ShownScan]",
        curves: Sequence[str] = (),
    ) -> str:
        """The page with the content of table.json and run.json."""
        from model.pages.page import legend_of, render

        names = [row["name"] for row in facts.classes]
        shown = sorted({k for scan in scans for k in scan.classes})
        legend = legend_of(names, self._colors(facts), shown, facts.scored)
        judge = _title(facts, judged(facts)) if facts.scored else ""
        return render(table, asked, curves, scans, legend, judge)

    def _colors(self, facts: Facts) -> "NDArray[np.uint8]":
        from pipeline.palette import palette

        return palette([row["name"] for row in facts.classes], self.params["colors"])


def _first(facts: Facts) -> dict[str, str]:
    """The first scans, those that are not trained on before the others."""
    of_split = {scan: f"{split} scan" for split in ("val", "train") for scan in facts.splits[split]}
    return dict(list(of_split.items())[:_OWN])


def judged(facts: Facts) -> str | None:
    """The network by which scans are the best and the worst; None if only 2D is scored."""
    networks = facts.weak_networks or facts.networks
    variants = [run.rpartition("-")[0] for run in networks]
    return networks[variants.index(variants[-1])] if networks else None


def _networks(request: Request) -> dict[str, Path]:
    """Title -> network, of the first seed of each variant that needs no dense labels."""
    facts, found = request.facts, dict[str, Path]()
    own = facts.weak_networks or facts.networks
    for run in [*own, *facts.imported]:
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

    others = ("labels", "targets", "pseudo_labels")
    paths = {stage: request.inputs.get((stage, scan)) for stage in others}
    return Scan(scan, about, request.path("voxels", scan), **paths)


def _voxels(facts: Facts) -> list[Entry]:
    return of_scans(("voxels",), facts.scans)
