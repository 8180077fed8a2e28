"""What lies outside the store and has to be there: raw scans and weights."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import manifest, provenance, weights
from pipeline.errors import BadInput

if TYPE_CHECKING:
    from pipeline.plan import Plan


def scan_files(plan: "Plan", scan: str) -> manifest.Files:
    """The raw files of one scan by group. Raises `BadInput` where some are missing."""
    reader = import_module(f"pipeline.{plan.section['reader']}.files")
    split = "train" if scan in plan.splits["train"] else "val"
    labels = split == "val" or plan.facts["tags"] is None
    reader.check(plan.raw, scan, split, labels=labels)
    return {g: files for g, files in reader.scan_files(plan.raw, scan).items() if files}


def complete_scans(plan: "Plan") -> dict[str, manifest.Files]:
    """The raw files of all scans. Raises `BadInput` that counts the scans which lack some."""
    files, faults = {}, []
    for scan in plan.scans:
        try:
            files[scan] = scan_files(plan, scan)
        except BadInput as error:
            faults.append(str(error))
    if faults:
        raise BadInput(
            plan.raw,
            f"{len(faults)} of {len(plan.scans)} scans are not complete, the first: {faults[0]}",
            "complete them, or set `scans:` to a csv file that names fewer",
        )
    return files


def require(raw: Path, dataset: str, homes: Iterable[Path]) -> None:
    """Stop before any job where there are no raw files and the store lacks what they give."""
    if raw.is_dir():
        return
    for home in homes:
        if not home.exists():
            raise BadInput(
                raw,
                f"there is no {dataset} data here, and the store lacks {home.parent.parent.name} "
                f"of {home.name.partition('@')[0]}",
                f"get the data as data_manifest/{dataset}/README.md says, and set `raw:` of "
                f"{dataset} in workflow/config.yaml to its folder",
            )


def open_raw(plan: "Plan", stage: str, group: str, scan: str) -> Any:
    """The raw files of a scan, opened by the dataset's reader for one of the raw stages.

    Raises `BadInput` where they have changed since the run was planned.
    """
    files = scan_files(plan, scan)
    if not plan.simulated:
        records = Path(plan.facts["store"], plan.dataset, "raw")
        now = manifest.raw_digests({scan: files}, records, f"reading {scan} again")[scan][group]
        if now != plan.facts["raw_digests"][scan][group]:
            what = f"the files of {scan} have changed since the run was planned"
            raise BadInput(plan.raw, what, "run snakemake again")
    reader = import_module(f"pipeline.{plan.section['reader']}.{group}")
    if stage == "frames":
        return reader.open_frames(files[group])
    if stage == "voxels":
        return reader.read_cloud(files[group])
    return reader.read_labels(files[group], plan.facts["classes"])


def weights_digest(tower: Mapping[str, Any], store: Path) -> str | None:
    """SHA-256 of weights that are local files; None for a tag, which names its weights itself.

    Raises `BadInput` where the files are missing.
    """
    paths = weights.local_files(tower["model"], tower["pretrained"])
    if not paths:
        return None
    name = provenance.digest(*(str(path) for path in paths))
    files = {name: {"weights": {path.name: path for path in paths}}}
    return manifest.raw_digests(files, store / "weights", "reading weights")[name]["weights"]
