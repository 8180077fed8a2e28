"""Weights from a hub as files of this machine, so that their bytes can be known.

A name of a hub, `hf-hub:<owner>/<name>@<revision>`, is a folder of `data/weights` or of Hugging
Face's cache, which is read as a `local-dir:` model. What a tag of open_clip gives is linked into
`data/weights` when it is fetched first: what the hub gives under the same tag later is not looked
at.
"""

import re
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HFValidationError

from pipeline.clip import weights
from pipeline.clip.weights import (
    CONFIG,
    TIPS_CONFIG,
    TIPS_WEIGHTS,
    TOKENIZER,
    WEIGHTS,
    is_tipsv2,
    local_file,
    local_files,
    local_folder,
)
from pipeline.errors import BadInput

PREFIX = "hf-hub:"
_WORDS = ("*.json", "*.txt", "*.txt.gz", "*.model")  # what tokenizers are read from


def is_hub(model: str) -> bool:
    """Whether a model is a name of Hugging Face's hub."""
    return model.startswith(PREFIX)


def is_tag(model: str, pretrained: str | None) -> bool:
    """Whether weights are a tag of open_clip; raises as `local_file`."""
    return not is_hub(model) and local_file(model, pretrained) is None


def located(model: str) -> str:
    """The `local-dir:` name of a model of a hub that is here; any other model as it is.

    Raises `BadInput` where a name of a hub has no revision, or is none.
    """
    if not is_hub(model):
        return model
    repo, revision = _repo(model)
    found = [_cached(repo, name, revision) for name in (CONFIG, TIPS_CONFIG)]
    for place in [saved(model), *(path.parent for path in found if path)]:
        ours = (place / CONFIG).is_file() and (place / WEIGHTS).is_file()
        if ours or (is_tipsv2(place) and (place / TIPS_WEIGHTS).is_file()):
            return f"local-dir:{place}"
    return model


def folder() -> Path:
    """Where weights are saved by hand, or linked."""
    return weights.CHECKOUT / "data" / "weights"


def saved(model: str) -> Path:
    """The folder of `data/weights` for a model of a hub; raises `BadInput` as `located`."""
    repo, revision = _repo(model)
    return folder() / f"{repo}@{revision}".replace("/", "--")


def files(model: str, pretrained: str | None) -> list[Path]:
    """All files that determine a hub's model, or a tag's weights and tokenizer; none if not here.

    Those of a tag are in `data/weights`. Raises `BadInput` as `local_files`.
    """
    if is_hub(model):
        own = located(model)
        return [] if is_hub(own) else local_files(own, None)
    path, beside = _places(model, pretrained)
    if not path.is_file():
        return []
    words = [each for each in beside.glob("*") if each.is_file()] if beside.is_dir() else []
    return [path, *sorted(words)]


def fetch(model: str, pretrained: str | None) -> None:
    """Fetch what `files` then finds; nothing to do for what is here.

    Raises `BadInput` for what can be neither found nor fetched: it says where to save it.
    """
    if is_hub(model):
        if is_hub(located(model)):
            _fetch_snapshot(model)
    elif not local_folder(model) and is_tag(model, pretrained):
        _fetch_tag(model, pretrained)


def _repo(model: str) -> tuple[str, str]:
    repo, _, revision = model.removeprefix(PREFIX).partition("@")
    if not revision:
        what = "has no revision, and what a hub has under a name may change"
        raise BadInput(model, what, f"write `model: {PREFIX}{repo}@<commit>`")
    try:
        huggingface_hub.utils.validate_repo_id(repo)
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", revision) or ".." in revision:
            raise HFValidationError(revision)
    except HFValidationError as error:
        remedy = f"write `model: {PREFIX}<owner>/<name>@<commit>`"
        raise BadInput(model, "is no name of a hub", remedy) from error
    return repo, revision


def _cached(repo: str, name: str, revision: str | None = None) -> Path | None:
    found = huggingface_hub.try_to_load_from_cache(repo, name, revision=revision)
    return Path(found) if isinstance(found, str) and Path(found).is_file() else None


def _fetch_snapshot(model: str) -> None:
    from pipeline.clip.fetch import first_line, is_there  # loads torch

    repo, revision = _repo(model)
    url = huggingface_hub.hf_hub_url(repo, WEIGHTS, revision=revision)
    try:
        ours = WEIGHTS if is_there(url) else None
        if file := ours or (TIPS_WEIGHTS if _offers_tipsv2(repo, revision) else None):
            wanted = [file, *_WORDS]
            huggingface_hub.snapshot_download(repo, revision=revision, allow_patterns=wanted)
    except Exception as error:  # many kinds, from several network packages
        what = f"is not here and cannot be fetched ({first_line(error)})"
        ours, tips = f"{WEIGHTS}, {CONFIG}", f"of TIPSv2 {TIPS_WEIGHTS}, {TIPS_CONFIG}"
        remedy = f"copy its files ({ours}, or {tips}, and those of its tokenizer) to a folder"
        raise BadInput(model, what, f"{remedy} and write `model: local-dir:<folder>`") from error
    if is_hub(located(model)):
        what = f"offers no {WEIGHTS} with an {CONFIG} at that revision"
        raise BadInput(model, what, "take a model of open_clip with safetensors, or TIPSv2")


def _offers_tipsv2(repo: str, revision: str) -> bool:
    from pipeline.clip.fetch import is_there

    if not is_there(huggingface_hub.hf_hub_url(repo, TIPS_CONFIG, revision=revision)):
        return False
    return is_tipsv2(
        Path(huggingface_hub.hf_hub_download(repo, TIPS_CONFIG, revision=revision)).parent
    )


def _fetch_tag(model: str, pretrained: str | None) -> None:
    from pipeline.clip.fetch import hub_tokenizer  # loads torch
    from pipeline.clip.models import configuration, weights_file

    path, beside = _places(model, pretrained)
    text = configuration(model)["text_cfg"]
    found, repo = weights_file(model, pretrained), text.get("hf_tokenizer_name")
    if repo and not text.get("hf_model_name") and not (beside / TOKENIZER[0]).is_file():
        if not _cached(repo, TOKENIZER[0]):
            hub_tokenizer(model, text)
        if words := _cached(repo, TOKENIZER[0]):
            _link(beside, words.parent)
    if not path.is_file():
        _link(path, found)


def _places(model: str, pretrained: str | None) -> tuple[Path, Path]:
    """Where the weights and the tokenizer of a tag are saved by hand, or linked."""
    return folder() / f"{model}.{pretrained}.safetensors", folder() / f"{model}.tokenizer"


def _link(place: Path, target: Path) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_symlink():  # to what has been removed from the cache
            place.unlink()
        place.symlink_to(target.absolute())
    except OSError as error:
        what = f"cannot be linked to {target} ({error.strerror})"
        raise BadInput(place, what, "make the folder writable, or save the file there") from error
