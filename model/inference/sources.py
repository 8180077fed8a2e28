"""Where networks and their text towers come from, none of which is trusted blindly."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download

from model.network.release import CONFIG, LOCAL, TOWER
from pipeline.clip.weights import CONFIG as TOWER_CONFIG
from pipeline.errors import BadInput

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def fetched(name: str, options: Mapping[str, Any]) -> Path:
    """The release folder of `owner/name` of the Hugging Face hub, on this machine.

    `options` are those of `snapshot_download`. Raises `BadInput` for any other name, and where it
    cannot be fetched.
    """
    if not _HUB_ID.fullmatch(name) or name.endswith(".safetensors"):
        remedy = "name a .safetensors file, a release folder, or owner/name of the hub"
        raise BadInput(name, "no such file", remedy)
    wanted = ["*.safetensors", CONFIG, f"{TOWER}/*"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted, **options))
    except Exception as error:  # many kinds, from several network packages
        remedy = "download its files elsewhere and name their folder"
        raise BadInput(name, f"cannot be fetched ({_first_line(error)})", remedy) from error


def found_tower(
    tower: Mapping[str, Any] | None, network: Path, given: str | os.PathLike[str] | None
) -> dict[str, Any] | None:
    """The text tower of a network, with where its files are on this machine.

    They are those that are `given`, or in the folder `tower` beside the network. A relative folder
    is looked for below the folders above the network, and else below the checkout. Whether they
    have the right weights is checked when they are read. Raises `BadInput` where nothing is given.
    """
    if tower is None:
        return None
    if given is not None:
        path = Path(given).absolute()
        if not path.exists():
            raise BadInput(path, "no such file or folder", "give the text tower's")
        own = {"model": f"{LOCAL}{path}"} if path.is_dir() else {"pretrained": str(path)}
        return {**tower, **own}
    if not str(tower["model"]).startswith(LOCAL):
        return dict(tower)
    relative = str(tower["model"]).removeprefix(LOCAL)
    beside = network.absolute().parent / TOWER
    for folder in (beside, *(above / relative for above in network.absolute().parents)):
        if (folder / TOWER_CONFIG).is_file():
            return {**tower, "model": f"{LOCAL}{folder}"}
    return dict(tower)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
