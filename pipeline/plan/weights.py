"""CLIP weights, and features made elsewhere that take their place: what identifies them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.clip import hub
from pipeline.clip.weights import local_files
from pipeline.errors import BadInput
from pipeline.plan import digests, missing, provenance
from pipeline.plan.missing import Elsewhere
from pipeline.plan.plan import Plan
from pipeline.readers.features import reader as features


def weights_digest(tower: Mapping[str, Any], store: Path) -> str | None:
    """SHA-256 of weights and what belongs to them: configuration and tokenizer.

    Of a tag or a hub's model that is not here, what the store recorded; None where it did not. Of
    features made elsewhere, that of their texts. Raises `BadInput` where local files are missing.
    """
    folder = tower.get("features")
    if not folder and _from_hub(tower):
        return _hub_digest(tower["model"], tower["pretrained"], store)
    paths = (
        [Path(folder, features.TEXT)]
        if folder
        else local_files(tower["model"], tower["pretrained"])
    )
    name = provenance.digest(*map(str, paths))
    files = {"weights": {path.name: path for path in paths}}
    there = not folder or paths[0].is_file()  # else the store may know the texts
    known = digests.raw_digests(
        {name: files if there else None}, store / "weights", "reading weights"
    )
    if name not in known:
        raise BadInput(paths[0], "no such file", features.CONTRACT)
    return known[name]["weights"]


def record_name(tower: Mapping[str, Any]) -> str | None:
    """The name of the record that tells others of weights; None for those that must be here."""
    if folder := tower.get("features"):
        return provenance.digest(str(Path(folder, features.TEXT)))
    if _from_hub(tower):
        return provenance.digest(tower["model"], tower["pretrained"] or "")
    return None


def fetch_unknown(tower: Mapping[str, Any], store: Path) -> None:
    """Fetch weights of a hub of which neither this machine nor the store knows the bytes.

    A key needs them, and the configuration of a hub's model. Raises `BadInput` where they cannot be
    fetched.
    """
    if tower.get("features"):
        return
    if hub.is_hub(tower["model"]) or weights_digest(tower, store) is None:
        hub.fetch(tower["model"], tower["pretrained"])


def require_planned(plan: Plan, stage: str) -> None:
    """Look at the weights of a job that reads them; fetch those of a hub that are not here.

    Raises `BadInput` where they are damaged, cannot be fetched, or are others than those that were
    planned with.
    """
    tower = plan.section["embeddings"]
    if stage not in ("embeddings", "text") or tower.get("features"):
        return
    if _from_hub(tower):
        _require_fetched(plan, tower)
    from pipeline.clip.sound import require_sound  # loads torch

    require_sound(tower["model"], tower["pretrained"])


def _require_fetched(plan: Plan, tower: Mapping[str, Any]) -> None:
    hub.fetch(tower["model"], tower["pretrained"])
    if weights_digest(tower, Path(plan.facts.store)) != plan.facts.weights:
        what = "its weights or tokenizer are not those that the run was planned with"
        raise BadInput(tower["model"], what, "run snakemake again, which makes new entries")


def _from_hub(tower: Mapping[str, Any]) -> bool:
    model = tower["model"]
    return hub.is_hub(model) or hub.is_tag(model, tower["pretrained"])


def _hub_digest(model: str, pretrained: str | None, store: Path) -> str | None:
    paths = hub.files(model, pretrained)
    name = provenance.digest(model, pretrained or "")
    files = {"weights": {path.name: path for path in paths}} if paths else None
    known = digests.raw_digests({name: files}, store / "weights", "reading weights")
    return known[name]["weights"] if name in known else None


def features_digests(
    folder: Path, scans: Iterable[str], records: Path, wanted: bool
) -> dict[str, dict[str, str]]:
    """Scan -> the group "features" -> SHA-256 over its files, as far as they are known.

    Raises `BadInput` where the folder is there, and features of a scan are not.
    """
    files: dict[str, digests.Files | None] = dict.fromkeys(scans)
    if wanted and folder.is_dir():
        files = {scan: {"features": features.scan_files(folder, scan)} for scan in files}
    return digests.raw_digests(files, records / records_of(folder), "reading features once")


def records_of(folder: Path) -> str:
    """The name of the folder of what is recorded of features: of others, that is another."""
    return f"features-{provenance.digest(str(folder))}"


def require_features(plan: Plan, elsewhere: Elsewhere = missing.NOWHERE) -> None:
    """Stop before any job where there are no features, and what they give is to be had nowhere."""
    folder = plan.facts.features
    if folder is None or folder.is_dir():
        return
    lacking = [
        scan
        for scan in plan.facts.scans
        if not missing.present(plan, ("embeddings", scan))
        and not elsewhere.has(plan, ("embeddings", scan))
    ]
    if lacking:
        what = f"there is no such folder, and the store lacks the embeddings of {lacking[0]}"
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
