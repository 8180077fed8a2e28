"""CLIP weights, and features made elsewhere that take their place: what identifies them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.clip.weights import local_files
from pipeline.errors import BadInput
from pipeline.plan import digests, provenance
from pipeline.plan.plan import Plan
from pipeline.readers.features import reader as features


def weights_digest(tower: Mapping[str, Any], store: Path) -> str | None:
    """SHA-256 of weights that are local files; None for a tag, which names its weights itself.

    Of features made elsewhere, that of their texts. Raises `BadInput` where the files are missing.
    """
    folder = tower.get("features")
    paths = (
        [Path(folder, features.TEXT)]
        if folder
        else local_files(tower["model"], tower["pretrained"])
    )
    if not paths:
        return None
    name = provenance.digest(*(str(path) for path in paths))
    files = {"weights": {path.name: path for path in paths}}
    there = not folder or paths[0].is_file()  # else the store may know the texts
    known = digests.raw_digests(
        {name: files if there else None}, store / "weights", "reading weights"
    )
    if name not in known:
        raise BadInput(paths[0], "no such file", features.CONTRACT)
    return known[name]["weights"]


def features_digests(
    folder: Path, scans: Iterable[str], records: Path, wanted: bool
) -> dict[str, dict[str, str]]:
    """Scan -> the group "features" -> SHA-256 over its files, as far as they are known.

    Raises `BadInput` where the folder is there, and features of a scan are not.
    """
    files: dict[str, digests.Files | None] = dict.fromkeys(scans)
    if wanted and folder.is_dir():
        files = {scan: {"features": features.scan_files(folder, scan)} for scan in files}
    own = records / f"features-{provenance.digest(str(folder))}"  # other features, other files
    return digests.raw_digests(files, own, "reading features once")


def require_features(folder: Path, homes: Iterable[Path]) -> None:
    """Stop before any job where there are no features and the store lacks what they give."""
    missing = [home.name.partition("@")[0] for home in homes if not home.exists()]
    if missing and not folder.is_dir():
        what = f"there is no such folder, and the store lacks the embeddings of {missing[0]}"
        raise BadInput(folder, what, "set `features:` to where they are")


def open_features(plan: Plan, scan: str) -> features.Features:
    """The features of a scan. Raises `BadInput` where they have changed since that was planned."""
    folder = Path(plan.section["embeddings"]["features"])
    now = features_digests(folder, [scan], plan.records, wanted=True)[scan]
    if now["features"] != plan.facts.raw_digests[scan].get("features"):
        what = f"the features of {scan} have changed since the run was planned"
        raise BadInput(folder, what, "run snakemake again")
    return features.open_features(folder, scan, features.read_texts(folder))


def open_texts(plan: Plan) -> features.Texts:
    """The texts of the features. Raises `BadInput` where they have changed since then."""
    tower = plan.section["embeddings"]
    if weights_digest(tower, Path(plan.facts.store)) != plan.facts.weights:
        what = "the texts have changed since the run was planned"
        raise BadInput(tower["features"], what, "run snakemake again")
    return features.read_texts(Path(tower["features"]))
