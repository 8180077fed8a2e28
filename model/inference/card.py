"""The model card of a released network, from what its `config.json` says."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from huggingface_hub import ModelCardData

_USE = """```python
from model import load

net = load("FOLDER")  # this folder, or owner/name of the hub
labels = net.label(xyz, rgb)  # (N, 3) metres with z up; labels.names, .ids, .confidence
heat = net.query(xyz, rgb, "a place to sit")  # (N,) cosine
```"""
_SCORES = ("on", "row", "split", "scans", "over", "protocol", "mIoU", "mAcc", "OA")


def card(config: Mapping[str, Any]) -> str:
    """The card in Markdown, with the metadata of the hub. What comes from names stays text."""
    data, tower = config.get("data") or {}, config.get("tower")
    meta = ModelCardData(
        library_name="vlg3d",
        license=_named(config.get("licence")),
        tags=["point-cloud", "3d-segmentation", "open-vocabulary", "model_hub_mixin"],
    )
    parts = [
        f"---\n{meta.to_yaml()}\n---",
        f"# {_text(config['variant'])}, seed {_text(config['seed'])}",
        "A sparse 3D network that labels the points of a scan without images, trained without a "
        "label of a point."
        if config["variant"] != "supervised"
        else "A sparse 3D network that labels the points of a scan, trained with dense labels.",
        _USE if tower else _USE.rpartition("heat")[0].rstrip() + "\n```",
        "## What it takes and gives",
        _table(
            [
                ("inputs", ", ".join(config["inputs"])),
                ("voxels", f"{100 * config['voxel_size']:g} cm"),
                ("classes", ", ".join(config["classes"])),
                ("text tower", _tower(tower)),
                ("images were read by", _recipe(config.get("recipe"))),
                ("network used", config["selection"]),
                ("entry", config["entry"]),
            ]
        ),
        "## Data",
        _table(
            [
                ("dataset", data.get("name", "not stated")),
                ("trained on", f"{config['trained_on'] or 'an unknown number of'} scans"),
                ("licence of the data", data.get("licence", "not stated")),
                *((f"key of {stage}", key) for stage, key in _pairs(data.get("keys"))),
            ]
        ),
        "## Scores",
        _scores(config.get("scores") or []),
    ]
    return "\n\n".join(parts) + "\n"


def _named(licence: object) -> str | None:
    """A licence as the hub knows it: one word."""
    return "".join(str(licence).lower().split()) if licence else None


def _scores(scores: Sequence[Any]) -> str:
    rows = [each for each in scores if isinstance(each, Mapping)]
    if not rows:
        return "None are stated."
    cells = [[_cell(row.get(name, "")) for name in _SCORES] for row in rows]
    head = [_SCORES, ("---",) * len(_SCORES)]
    lines = "\n".join("| " + " | ".join(row) + " |" for row in (*head, *cells))
    return f"In percent; `_voted` is averaged over superpoints.\n\n{lines}"


def _cell(value: object) -> str:
    return f"{100 * value:.1f}" if isinstance(value, float) else _text(value)


def _tower(tower: Any) -> str:
    if not tower:
        return "none: it answers no queries in words"
    names = [str(tower["model"]), tower["pretrained"] and str(tower["pretrained"])]
    templates = tower["templates"]
    said = templates if isinstance(templates, str) else "; ".join(map(str, templates))
    return f"{' '.join(filter(None, names))}, templates: {said}"


def _recipe(recipe: Any) -> str:
    shown = (f"{name} {value}" for name, value in _pairs(recipe) if value is not None)
    return ", ".join(shown) or "not stated"


def _pairs(content: Any) -> Iterable[tuple[str, Any]]:
    return sorted(content.items()) if isinstance(content, Mapping) else ()


def _table(rows: Iterable[tuple[str, object]]) -> str:
    lines = [f"| {_text(name)} | {_text(value)} |" for name, value in rows]
    return "\n".join(["| | |", "|---|---|", *lines])


def _text(value: object) -> str:
    """One line in which neither Markdown's tables nor HTML see anything of theirs."""
    plain = escape(" ".join(str(value).split()), quote=False)
    return "".join("\\" + c if c in "|`*_[]!\\" else c for c in plain)
