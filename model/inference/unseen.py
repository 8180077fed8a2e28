"""New input for a trained network: other scans, and classes or queries in other words."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from numpy.typing import DTypeLike, NDArray

from model.network.trained import Trained
from pipeline.clip import hub
from pipeline.clip.weights import local_files
from pipeline.errors import BadInput
from pipeline.plan.digests import digest_of
from pipeline.scan import Cloud
from pipeline.stages.voxels import Worker

Embed = Callable[[Sequence[Sequence[str]]], NDArray[np.float32]]


class _InMemory(dict[str, NDArray[Any]]):
    """Takes the place of the group of an entry: its arrays as they are, whatever their size."""

    def __init__(self) -> None:
        super().__init__()
        self.attrs: dict[str, Any] = {}

    def create_array(
        self, name: str, shape: tuple[int, ...], dtype: DTypeLike, **_: object
    ) -> NDArray[Any]:
        self[name] = np.empty(shape, dtype)
        return self[name]


def voxelised(cloud: Cloud, voxel_size: float) -> zarr.Group:
    """The entry that the stage `voxels` makes of a cloud, in memory; `voxel_size` in metres."""
    group = cast(zarr.Group, _InMemory())
    Worker({"voxel_size": voxel_size})(group, cloud)
    return group


def embed(trained: Trained, network: Path, prompts: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """Text embeddings (Q, d) of unit length, each of several prompts; raises as `embedder`."""
    return embedder(trained, network)(prompts)


def embedder(trained: Trained, network: Path) -> Embed:
    """The network's text tower, loaded: prompts -> text embeddings (Q, d) as `embed` gives them.

    Raises `BadInput` if the network has no text tower, the tower is not here or has other weights,
    and where open_clip is not installed, which nothing else in inference needs.
    """
    tower = trained.tower
    if tower is None:
        supervised = not trained.head.normalise
        source = "dense labels" if supervised else "features that were made elsewhere"
        what = f"has no text tower, since it was trained with {source}"
        raise BadInput(network, what, "take a network that was trained with a CLIP model")
    model, pretrained, templates = (tower[key] for key in ("model", "pretrained", "templates"))
    if _digest(model, pretrained, tower["weights"]) != tower["weights"]:
        what = "has other weights than those that the network was trained with"
        raise BadInput(model, what, "restore them, or train again")
    try:
        from pipeline.clip.prompts import ensemble, templates_of
        from pipeline.clip.sound import require_sound
        from pipeline.clip.text_tower import load_text_tower  # slow to import
    except ImportError as error:
        what = f"its text tower needs a package that is not installed ({error.name})"
        raise BadInput(network, what, "pip install open_clip_torch") from error

    try:
        sentences = templates_of(templates)
    except KeyError:
        what = f"names the templates {templates!r}, which this version does not have"
        raise BadInput(network, what, "take the version that the network was made with") from None
    require_sound(model, pretrained)
    loaded = load_text_tower(hub.located(model), pretrained)
    longest = max(sentences, key=len)

    def embed(prompts: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        for each in (word for words in prompts for word in words):
            _warn_if_cut(loaded.tokenizer, each, longest)
        return np.stack([ensemble(loaded, words, sentences) for words in prompts])

    return embed


def _warn_if_cut(tokenizer: Any, words: str, template: str) -> None:
    """Warn if words fill the context of the text tower: one more would change nothing."""
    one, more = (tokenizer([template.replace("{}", each)]) for each in (words, f"{words} a"))
    if isinstance(one, Mapping):
        one, more = one["input_ids"], more["input_ids"]
    if one.shape == more.shape and bool((one == more).all()):
        what = f"'{words[:30]}...' fills the context of the text tower"
        warnings.warn(f"{what}; words beyond it are not read.", stacklevel=4)


def _digest(model: str, pretrained: str | None, known: str | None) -> str | None:
    """The digest of a tower's files, as the plan computes it; None for a tag that had none."""
    try:
        if hub.is_hub(model) or (known and hub.is_tag(model, pretrained)):
            hub.fetch(model, pretrained)
            files = hub.files(model, pretrained)
        else:
            files = local_files(model, pretrained)
    except BadInput as error:
        where, what, _ = error.args
        remedy = "queries need this text tower: put it there, or `load(network, tower=FOLDER)`"
        raise BadInput(where, what, remedy) from error
    return digest_of({"weights": {path.name: path for path in files}})["weights"] if files else None
