"""Writing a release folder: the network's file, its description, its card and its small tower.

`model.network.release` says what is in such a folder, and reads it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.inference.card import card
from model.network import files
from model.network.release import CARD, CONFIG, FORMAT, LOCAL, TOWER, WEIGHTS
from model.network.trained import Trained
from pipeline.clip.weights import local_files, local_folder
from pipeline.errors import BadInput
from pipeline.whole_file import whole_file

MOST_BYTES = 64 << 20  # of a text tower that goes into the folder


def write(folder: Path, path: Path, trained: Trained, details: Mapping[str, Any]) -> None:
    """Write the network of the file `path` into a folder; a card that is there stays.

    Raises `BadInput` if something cannot be written.
    """
    metadata = files.read_metadata(path)
    content = {
        "format": FORMAT,
        "library_name": "vlg3d",
        **known(trained),
        **{name: metadata.get(name, "") for name in ("entry", "selection")},
        "trained_on": trained.trained_on,
        "tower": _described(trained.tower, json.loads(metadata["tower"])),
        **details,
        "colors": {c: v for c, v in details["colors"].items() if c in trained.classes},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _copy(path, folder / WEIGHTS)
        for each in _small_tower(trained.tower):
            (folder / TOWER).mkdir(exist_ok=True)
            _copy(each, folder / TOWER / each.name)
        text = json.dumps(content, indent=1, sort_keys=True)
        (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
        if not (folder / CARD).exists():
            (folder / CARD).write_text(card(content), encoding="utf-8")
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        raise BadInput(folder, what, "free space there, or name another place") from error


def known(trained: Trained) -> dict[str, Any]:
    """What both the network's file and `config.json` say, as plain JSON."""
    return {
        "variant": trained.variant,
        "seed": trained.seed,
        "classes": trained.classes,
        "inputs": list(trained.inputs),
        "voxel_size": trained.voxel_size,
        "scan_voxel_size": trained.scan_voxel_size,
    }


def _described(tower: Mapping[str, Any] | None, own: Any) -> Any:
    """The tower as training knew it, or in its place in the release folder."""
    return {**own, "model": f"{LOCAL}{TOWER}"} if _small_tower(tower) else own


def _small_tower(tower: Mapping[str, Any] | None) -> list[Path]:
    """The files of a local text tower that is small; none otherwise, or if they are not here."""
    if tower is None or not local_folder(tower["model"]):
        return []
    try:
        found = local_files(tower["model"], tower["pretrained"])
    except BadInput:  # labels do without
        return []
    return found if sum(path.stat().st_size for path in found) <= MOST_BYTES else []


def _copy(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all; nothing to do for a file that is there itself."""
    if target.exists() and target.samefile(source):
        return
    content = source.read_bytes()
    with whole_file(target) as partial:
        partial.write_bytes(content)
