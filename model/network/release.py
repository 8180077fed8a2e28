"""The folder in which a trained network is released: its file, and what belongs to it.

- `model.safetensors`, the file of the network as training wrote it. Any other name will do where it
  is the only file of its kind.
- `config.json`: what the file says of the network, to be read without it; the colours of its
  classes, and where scores and data are from (`model.inference.card`).
- `tower/`, the text tower for queries, where it is small: a `local-dir:` model.
- `README.md`, the model card.

A folder may come from anywhere, so only colours and details are taken from `config.json`, checked;
the rest of it has to agree with the network.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.foreign import one_line, parse_json

WEIGHTS, CONFIG, TOWER, CARD = "model.safetensors", "config.json", "tower", "README.md"
FORMAT = 1
LOCAL = "local-dir:"  # before the folder of a model that is not from open_clip's list
_MAX_BYTES = 16 << 20  # of config.json
_REMEDY = "download the folder again, or remove the file: it is not needed for labels"
_DETAILS: Mapping[str, type] = {"scores": list, "data": dict, "recipe": dict, "licence": str}


def network_file(path: Path) -> Path:
    """The safetensors file of a network: `path` itself, or that in the folder `path`.

    Raises `BadInput` if a folder has none, or several and none of the name of a release.
    """
    if not path.is_dir():
        return path
    if (path / WEIGHTS).is_file():
        return path / WEIGHTS
    found = sorted(path.glob("*.safetensors"))
    if len(found) != 1:
        what = f"has {len(found) or 'no'} .safetensors file{'s' * (len(found) > 1)}"
        raise BadInput(path, f"{what} and none of the name {WEIGHTS}", "name the file itself")
    return found[0]


def read_config(folder: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """What a `config.json` adds: colours (class -> `#aec7e8`), scores, data, recipe, licence.

    Empty without such a file. `known` is what the network itself says; raises `BadInput` where the
    file says otherwise, is damaged, or has something of another type.
    """
    path = folder / CONFIG
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"{path.stat().st_size:,} bytes")
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        what = f"is not the description of a network ({one_line(error)})"
        raise BadInput(path, what, _REMEDY) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BadInput(path, f"is no description of a network in format {FORMAT}", _REMEDY)
    for name, own in known.items():
        if content.get(name) != own:
            what = f"says that `{name}` is another than the network's own"
            raise BadInput(path, what, _REMEDY)
    details = {name: content[name] for name in _DETAILS if content.get(name) is not None}
    bad = [name for name, part in details.items() if not isinstance(part, _DETAILS[name])]
    colors = content.get("colors") or {}
    if not isinstance(colors, dict) or not all(map(_is_color, colors.values())):
        bad.append("colors")
    if bad:
        raise BadInput(path, f"has no valid `{bad[0]}`", _REMEDY)
    return {"colors": colors, **details}


def _is_color(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value) is not None
