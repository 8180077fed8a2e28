"""The raw scans that a run needs: which there are, whether they are complete, how to open them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import readers
from pipeline.errors import BadInput
from pipeline.facts import SUPERVISED, Facts, raw_root
from pipeline.plan import digests, graph, manifest, missing, weights
from pipeline.plan.missing import Elsewhere
from pipeline.plan.plan import Plan


def scans(section: Mapping[str, Any]) -> tuple[list[dict[str, str]], list[str]]:
    """The scans of a dataset with their splits, and a sentence about each that is left out.

    Where no csv file names them each folder of frames is one, to train on. Raises `BadInput`.
    """
    if "scans" in section:
        return manifest.read_scans(Path(section["scans"])), []
    reader = readers.load(section["reader"], "files")
    if not hasattr(reader, "find_scans"):
        raise BadInput(
            "the config", "names no `scans:`", "set it to a csv file with scan and split"
        )
    found, faults = reader.find_scans(raw_root(section))
    return [{"scan": scan, "split": "train"} for scan in found], faults


def scene_tags(
    section: Mapping[str, Any], names: Sequence[str], classes: Sequence[Mapping[str, Any]]
) -> dict[str, list[str]] | None:
    """Scan -> names of the classes in it, from files that users wrote; None if there are none.

    The file of `tags:` takes precedence over the file in the scan's own folder. With
    `source: none` a scan without tags may have every class. Raises `BadInput`.
    """
    source, known = section["tags"]["source"], [c["name"] for c in classes]
    tags = {}
    reader = readers.load(section["reader"], "files")
    if hasattr(reader, "read_own_tags"):
        tags = reader.read_own_tags(raw_root(section), names, known)
    if source == "file":
        return tags | manifest.read_tags(Path(section["tags"]["file"]), classes)
    if tags and source == "none":
        return dict.fromkeys(names, known) | tags
    return tags or None


def require_scans(facts: Facts) -> None:
    """Raise `BadInput` where there is no scan to train on, or no tags or labels for one."""
    section, raw = facts.section, raw_root(facts.section)
    if not facts.splits["train"]:
        if "scans" in section:
            raise BadInput(section["scans"], "names no scan to train on", "give some split train")
        what = "is not a folder" if not raw.is_dir() else "contains no scan"
        what += f" ({facts.left_out[0]})" if facts.left_out else ""
        remedy = "put each scan into a folder in it, as data_manifest/folder/README.md says"
        raise BadInput(raw, what, remedy)
    if section["tags"]["source"] == "file":
        for scan in facts.splits["train"]:
            if scan not in (facts.tags or {}):
                raise BadInput(section["tags"]["file"], f"has no line for {scan}", "add one")
    if facts.runs(SUPERVISED) and not facts.has_labels:
        what = f"asks for {SUPERVISED} networks, but its scans have no dense labels to teach it"
        remedy = f"take `{SUPERVISED}` out of `variants:`"
        raise BadInput(f"`train:` of {facts.dataset}", what, remedy)


def scan_files(plan: Plan, scan: str) -> digests.Files:
    """The raw files of one scan by group. Raises `BadInput` where some are missing."""
    reader = readers.load(plan.facts.reader, "files")
    split = "train" if scan in plan.splits["train"] else "val"
    labels = (split == "val" and plan.facts.scored) or plan.facts.dense_tags
    reader.check(plan.raw, scan, split, labels=labels)
    return {g: files for g, files in reader.scan_files(plan.raw, scan).items() if files}


def complete_scans(plan: Plan) -> dict[str, digests.Files]:
    """The raw files of all scans. Raises `BadInput` that counts the scans which lack some."""
    files, faults = {}, []
    reader = readers.load(plan.facts.reader, "files")
    if hasattr(reader, "check_classes") and (plan.facts.scored or plan.facts.dense_tags):
        reader.check_classes(plan.raw, plan.facts.classes)
    for scan in plan.facts.scans:
        try:
            files[scan] = scan_files(plan, scan)
        except BadInput as error:
            faults.append(str(error))
    if faults:
        count = len(plan.facts.scans)
        raise BadInput(
            plan.raw,
            f"{len(faults)} of {count} scans are not complete, the first: {faults[0]}",
            "complete them, or set `scans:` to a csv file that names fewer",
        )
    return files


def require(plan: Plan, elsewhere: Elsewhere = missing.NOWHERE) -> None:
    """Stop before any job where there are no raw files, and what they give is to be had nowhere."""
    if plan.facts.simulated or plan.raw.is_dir():
        return
    _, made = missing.divide(
        plan,
        missing.tables(plan),
        lambda what: missing.present(plan, what) or elsewhere.has(plan, what),
    )
    needed = graph.raw_stages(plan.facts)
    for stage, name in sorted(made):
        if stage in needed:
            dataset, reader = plan.dataset, plan.section["reader"]
            raise BadInput(
                plan.raw,
                f"there is no {dataset} data here, and the store lacks {stage} of {name}",
                f"get the data as data_manifest/{reader}/README.md says, and set `raw:` of "
                f"{dataset} in workflow/config.yaml to its folder",
            )


def open_raw(plan: Plan, group: str, scan: str) -> Any:
    """A group of the raw files of a scan, opened by the dataset's reader.

    Raises `BadInput` where they have changed since the run was planned.
    """
    files = scan_files(plan, scan)
    if not plan.facts.simulated:
        now = digests.raw_digests({scan: files}, plan.records, f"reading {scan} again")[scan][group]
        if now != plan.facts.raw_digests[scan][group]:
            what = f"the files of {scan} have changed since the run was planned"
            raise BadInput(plan.raw, what, "run snakemake again")
    reader, own = readers.load(plan.facts.reader, group), files[group]
    if group == "labels":
        return reader.read_labels(own, plan.facts.classes)
    return reader.open_frames(own) if group == "frames" else reader.read_cloud(own)


def opened(plan: Plan, stage: str, name: str) -> dict[str, Any]:
    """What the worker of a stage is given as `raw`, if it reads files outside the store.

    Raises `BadInput` where they have changed since the run was planned.
    """
    declared = graph.stage(stage)
    if declared.raw:
        return {"raw": open_raw(plan, declared.raw, name)}
    if plan.facts.features and stage == "embeddings":
        return {"raw": weights.open_features(plan, name)}
    if plan.facts.features and stage == "text":
        return {"raw": weights.open_texts(plan)}
    return {}
