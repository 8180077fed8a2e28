"""What the file of a network says of it, checked as a whole before anything is built by it."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

from model.network.inputs import COLOR_ONLY, in_channels
from pipeline.foreign import parse_json

_NEEDED = ("variant", "seed", "classes", "head", "config", "voxel_size", "tower", "selection")
_OF_TOWER = {"model", "pretrained", "weights", "templates"}
_TEMPERATURES = (1e-4, 1e4)
_VOXEL_SIZES = (1e-3, 10)  # metres


@dataclass(frozen=True)
class Said:
    """The texts of a network's file, each in the type that `Trained` has it in."""

    variant: str
    seed: int
    classes: list[str]
    normalise: bool
    temperature: float
    config: dict[str, Any]
    inputs: tuple[str, ...]
    voxel_size: float
    entry_voxel_size: float | None
    trained_on: int | None
    tower: dict[str, Any] | None
    rule: str
    selections: dict[str, str]  # by rule, the own first
    curves: dict[str, Any]


def said(texts: Mapping[str, str]) -> Said:
    """What the texts (metadata) of a file say. Raises `ValueError` for what cannot be."""
    missing = [name for name in (*_NEEDED, "curves") if name not in texts]
    if missing:
        raise ValueError(f"it has no {missing[0]}")
    for name in ("variant", "selection"):
        _require_line(name, texts[name])
    config = _parsed(texts, "config", dict)
    normalise, temperature = _head(_parsed(texts, "head", dict))
    entry_voxel_size = _parsed(texts, "entry_voxel_size", float, int, NoneType)
    if entry_voxel_size is not None:
        entry_voxel_size = _in_range("entry_voxel_size", entry_voxel_size, _VOXEL_SIZES)
    return Said(
        variant=texts["variant"],
        seed=_parsed(texts, "seed", int),
        classes=_classes(_parsed(texts, "classes", list)),
        normalise=normalise,
        temperature=temperature,
        config=config,
        inputs=_inputs(config),
        voxel_size=_in_range("voxel size", _parsed(texts, "voxel_size", float, int), _VOXEL_SIZES),
        entry_voxel_size=entry_voxel_size,
        trained_on=_parsed(texts, "trained_on", int, NoneType),
        tower=_tower(_parsed(texts, "tower", dict, NoneType)),
        rule=texts.get("rule", "last"),
        selections=_selections(texts),
        curves=_parsed(texts, "curves", dict),
    )


def rules(texts: Mapping[str, str]) -> list[str]:
    """The rules by which weights were chosen, the own first. Raises `ValueError`."""
    return list(_selections(texts))


def _parsed(texts: Mapping[str, str], name: str, *types: type) -> Any:
    """A text's JSON, of one of the types; a text that is missing is null."""
    try:
        found = parse_json(texts.get(name, "null"))
    except ValueError as error:
        raise ValueError(f"its {name} cannot be read: {error}") from None
    if type(found) not in types:
        raise ValueError(f"its {name} is {_short(found)}")
    return found


def _selections(texts: Mapping[str, str]) -> dict[str, str]:
    others = _parsed({"others": texts.get("others", "{}")}, "others", dict)
    found = {texts.get("rule", "last"): texts.get("selection", ""), **others}
    for rule, selection in found.items():
        if not rule.isidentifier() or not isinstance(selection, str):
            raise ValueError(f"it names the rule {_short(rule)}")
        _require_line("selection", selection)
    return found


def _head(head: dict[str, Any]) -> tuple[bool, float]:
    normalise, temperature = head.get("normalise"), head.get("temperature")
    if head.keys() != {"normalise", "temperature"} or not isinstance(normalise, bool):
        raise ValueError(f"its head is {_short(head)}")
    return normalise, _in_range("temperature", temperature, _TEMPERATURES)


def _classes(names: list[Any]) -> list[str]:
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError("its classes are no list of names")
    for name in names:
        _require_line("class", name)
    if len(set(names)) < len(names):
        raise ValueError("it names a class twice")
    return names


def _inputs(config: dict[str, Any]) -> tuple[str, ...]:
    """The inputs in the parameters of a run; networks of older files take colours only."""
    names = config.get("inputs", list(COLOR_ONLY))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"its inputs are {_short(names)}")
    in_channels(names)
    return tuple(names)


def _tower(tower: dict[str, Any] | None) -> dict[str, Any] | None:
    if tower is None:
        return None
    templates = tower.get("templates")
    listed = templates if isinstance(templates, list) else [templates]
    known = isinstance(tower.get("model"), str) and all(isinstance(each, str) for each in listed)
    optional = all(isinstance(tower.get(key), str | None) for key in ("pretrained", "weights"))
    if not tower.keys() >= _OF_TOWER or not known or not optional or not listed:
        raise ValueError("its text tower is not described")
    for text in (tower["model"], tower["pretrained"] or "", *listed):
        _require_line("text tower", text)
    return tower


def _in_range(name: str, value: Any, limits: tuple[float, float]) -> float:
    if type(value) not in (int, float) or not limits[0] <= value <= limits[1]:
        raise ValueError(f"its {name} is {_short(value)}")
    return float(value)


def _require_line(name: str, text: str) -> None:
    """Raise `ValueError` where a text would break a table or a terminal."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ValueError(f"its {name} has a control character")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
