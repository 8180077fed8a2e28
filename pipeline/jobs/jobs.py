"""How each stage is run on the entries and raw files that a plan names."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.plan import folds, provenance, rawdata
from pipeline.plan.graph import PER_RUN, RAW
from pipeline.plan.plan import Plan
from pipeline.simulate.settle import settle
from pipeline.store import entry, filesystem, groups, links, records

Job = Callable[[str, Path], None]  # makes the entry of that name at that path


def load(stage: str, plan: Plan) -> Job:
    """A stage, loaded once for all the entries that it is to make."""
    if stage == "train":
        return trainer(plan)
    if stage == "ceiling":
        return ceiling(plan)
    if stage == "evaluate":
        return evaluator(plan)
    run = import_module(plan.modules(stage)[0]).Stage(plan.params(stage))

    def make(name: str, path: Path) -> None:
        inputs: dict[str, Any] = {
            upstream: groups.read(plan.home(upstream, entry))
            for upstream, entry in plan.inputs(stage, name)
        }
        if stage in RAW:
            inputs["raw"] = rawdata.open_raw(plan, stage, RAW[stage], name)
        if plan.features and stage == "embeddings":
            inputs["raw"] = rawdata.open_features(plan, name)
        if plan.features and stage == "text":
            inputs["raw"] = rawdata.open_texts(plan)
        if stage == "tags":
            inputs["scan"] = name
        with named_damage(plan, stage, name), groups.create(path) as out:
            run(out, **inputs)

    return make


@contextmanager
def named_damage(plan: Plan, stage: str, name: str) -> Iterator[None]:
    """Say which of an entry's inputs is damaged, where one is: at once, or when a part is read."""
    homes = [plan.home(*source) for source in plan.inputs(stage, name)]
    for home in homes:
        entry.check(home)
        if home.suffix != ".zip":  # small, and without checksums of its own
            records.check(home)
    try:
        yield
    except (zipfile.BadZipFile, EOFError):  # of which zip says the latter past a file's end
        for home in homes:
            entry.check_bytes(home)
        raise


def simulator(plan: Plan) -> Callable[[Path], str]:
    """What writes the raw files of a simulated scan: they count once their mark is there."""
    simulate_scan = import_module(plan.modules("simulate")[0]).simulate_scan

    def run(done: Path) -> str:
        scan = done.name.partition(".")[0]
        split = "train" if scan in plan.splits["train"] else "val"
        partial = plan.raw / f".partial-{scan}"
        shutil.rmtree(partial, ignore_errors=True)
        simulate_scan(scan, plan.facts["seeds"][scan], split, plan.params("simulate"), partial)
        settle(partial, plan.raw)
        done.touch()
        filesystem.reset_time(done)
        return "simulated"

    return run


def trainer(plan: Plan) -> Job:
    """The weakly supervised training; no labels among what it is given."""
    from model.data.entries import ScanEntries
    from model.training.train import train

    def make(run: str, path: Path) -> None:
        variant, _, seed = run.rpartition("-")
        scans = [
            ScanEntries(scan, *(plan.home(s, scan) for s in PER_RUN["train"][:3]))
            for scan in plan.splits["train"]
        ]
        text = plan.home("text", "classes")
        scratch = _scratch(plan, "train", run)
        with named_damage(plan, "train", run):
            train(
                plan.params("train"),
                variant,
                int(seed),
                scans,
                text,
                path,
                scratch,
                tower=plan.tower,
                entry=entry.identity(path),
                workers=plan.section["workers"],
            )

    return make


def ceiling(plan: Plan) -> Job:
    """The fully supervised training, for comparison."""
    from model.scoring.labels import LabelledScan
    from model.training.ceiling import train_ceiling

    def make(run: str, path: Path) -> None:
        scans = [LabelledScan(scan, *_labelled(plan, scan)) for scan in plan.splits["train"]]
        text = plan.home("text", "classes")
        scratch = _scratch(plan, "ceiling", run)
        seed, workers = int(run.rpartition("-")[2]), plan.section["workers"]
        params, name = plan.params("ceiling"), entry.identity(path)
        with named_damage(plan, "ceiling", run):
            train_ceiling(params, seed, scans, text, path, scratch, entry=name, workers=workers)

    return make


def evaluator(plan: Plan) -> Job:
    """Scores of the fused embeddings, of the pseudo-labels or of a network, as a json list."""
    from model.scoring import score
    from model.scoring.labels import LabelledScan

    def make(name: str, path: Path) -> None:
        with named_damage(plan, "evaluate", name):
            content = {"entry": entry.identity(path), "results": scored(name)}
        path.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")

    def scored(name: str) -> list[dict[str, Any]]:
        split = "train" if name == "pseudo_labels" else "val"
        scans = [LabelledScan(scan, *_labelled(plan, scan)) for scan in plan.splits[split]]
        targets = [plan.home("targets", scan.scan) for scan in scans]
        if name == "fused":
            return [score.score_fused(scans, targets, plan.home("text", "classes"), split)]
        if name == "pseudo_labels":
            labels = [plan.home("pseudo_labels", scan.scan) for scan in scans]
            return [
                score.score_pseudo_labels(scans, targets, labels, split, filtered)
                for filtered in (False, True)
            ]
        from model.scoring.evaluate import evaluate_network

        stage = "ceiling" if name in plan.runs["ceiling"] else "train"
        return [evaluate_network(plan.home(stage, name), scans, split)]

    return make


def labeller(plan: Plan) -> Callable[[Path], str]:
    """What writes the labelled clouds of a scan into its folder of results, one for each network.

    The networks are loaded once for all the scans.
    """
    from model.inference.labelled import write_labelled
    from model.network.trained import Trained, load
    from model.training.loop import device

    networks: dict[str, Trained] = {}

    def run(folder: Path) -> str:
        scan = folder.name
        with named_damage(plan, "clouds", scan):
            voxels = groups.read(plan.home("voxels", scan))
            for name, source in plan.clouds.items():
                if name not in networks:
                    networks[name] = load(plan.home(*source), device())
                colors = plan.params("clouds")["colors"]
                write_labelled(folder / f"{name}.ply", networks[name], voxels, colors)
        return "labelled"

    return run


def report(plan: Plan, table: Path) -> str:
    """Write the tables beside `table` and return the one in text."""
    if not plan.scored:
        return _summary(plan, table)
    from model.reports.report import write_report

    results = [
        result for name in plan.scores for result in read_scores(plan.home("evaluate", name))
    ]
    prefix = table.with_suffix("")
    text = write_report(results, prefix, plan.dataset, plan.protocol, simulated=plan.simulated)
    links.show_latest(plan.results)
    return text


def sixfold(plan: Plan, table: Path) -> str:
    """Write the tables of all folds beside `table` and return the one in text."""
    from model.reports.folds import write_folds

    found = {
        area: [
            result
            for name in folds.scores(fold)
            for result in read_scores(fold.home("evaluate", name))
        ]
        for area, fold in folds.folds(plan).items()
    }
    prefix = table.with_suffix("")
    text = write_folds(found, prefix, plan.dataset, plan.protocol, simulated=plan.simulated)
    links.point(table.parent.parent / "latest", table.parent)
    return text


def _summary(plan: Plan, table: Path) -> str:
    """Write what became of scans without labels beside `table` and return it in text."""
    from model.reports.summary import summarise, write_summary

    scans = []
    for split, names in plan.splits.items():
        for scan in names:
            ply = {run: table.parent / scan / f"{n}.ply" for n, (_, run) in plan.clouds.items()}
            with named_damage(plan, "clouds", scan):
                voxels, projections = (
                    groups.read(plan.home(stage, scan)) for stage in ("voxels", "projections")
                )
                scans.append(summarise(scan, split, voxels, projections, ply))
    train, classes = plan.splits["train"], len(plan.facts["classes"])
    tagged = [s for s in train if len((plan.facts["tags"] or {}).get(s, ())) not in (0, classes)]
    notes = [
        f"Trained on {len(train)} scan{'s' * (len(train) != 1)}; somebody had named the classes "
        f"in {len(tagged) or 'none'} of them."
    ]
    notes += [f"Left out: {sentence}" for sentence in plan.facts["left_out"]]
    text = write_summary(scans, table.with_suffix(""), plan.dataset, notes)
    links.show_latest(plan.results)
    return text


def read_scores(home: Path) -> list[dict[str, Any]]:
    """The results in an entry of `evaluate`; raises `BadInput` where it is damaged."""
    entry.check(home)
    records.check(home)
    return json.loads(home.read_text(encoding="utf-8"))["results"]


def _labelled(plan: Plan, scan: str) -> tuple[Path, Path]:
    return plan.home("voxels", scan), plan.home("labels", scan)


def _scratch(plan: Plan, stage: str, run: str) -> Path:
    """Where an unfinished training keeps its checkpoints: private, and resumed from."""
    mark = provenance.digest(plan.keys[stage], plan.digest(stage, run))
    return plan.work / "scratch" / stage / f"{run}-{mark}"
