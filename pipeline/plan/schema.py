"""The config is compared with its schema, which has the defaults too."""

import copy
import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators
from snakemake.common.configfile import load_configfile

from pipeline.errors import BadInput
from pipeline.plan.provenance import ROOT

SCHEMA = ROOT / "workflow" / "config.schema.yaml"


def validate(config: dict[str, Any], where: Path | str) -> None:
    """Put defaults in. Raises `BadInput` where a key is unknown or has a bad value."""
    _check_keys(config, where, "")
    try:
        _validator().validate(config)
    except ValidationError as fault:
        key = fault.json_path.removeprefix("$").removeprefix(".")
        what = f"{key}: {_shortened(fault.message)}".removeprefix(": ")
        remedy = f"see {SCHEMA.name} for what is allowed"
        near = _near(fault, key)
        raise BadInput(
            where, what, f"did you mean `{near}`? {remedy}" if near else remedy
        ) from fault


def lacks_a_key(config: Mapping[str, Any]) -> bool:
    """Whether a key that is required is not there."""
    faults = _validator().iter_errors(copy.deepcopy(dict(config)))
    return any(fault.validator == "required" for fault in faults)


@cache
def _validator() -> Any:
    """One that puts defaults in; 1.0 is no integer for it, and what is not finite no number."""
    plain = Draft202012Validator.VALIDATORS["properties"]

    def set_defaults(
        validator: Any, properties: Mapping[str, Any], instance: Any, schema: Any
    ) -> Iterator[ValidationError]:
        if isinstance(instance, dict):
            for name, part in properties.items():
                if "default" in part:
                    instance.setdefault(name, copy.deepcopy(part["default"]))
        yield from plain(validator, properties, instance, schema)

    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    )
    kind = validators.extend(Draft202012Validator, {"properties": set_defaults}, type_checker=types)
    return kind(load_configfile(SCHEMA))


def _is_integer(_: Any, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_: Any, value: object) -> bool:
    return _is_integer(_, value) or (isinstance(value, float) and math.isfinite(value))


def _check_keys(part: Any, where: Path | str, within: str) -> None:
    """Raise `BadInput` for keys that are no text, which no schema can describe."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            if not isinstance(key, str):
                what = f"{within}: {key!r} is not of type 'string'".removeprefix(": ")
                raise BadInput(where, what, "put it into quotes, or correct it")
            _check_keys(value, where, f"{within}.{key}".removeprefix("."))
    elif isinstance(part, list):
        for value in part:
            _check_keys(value, where, within)


def _shortened(message: str) -> str:
    flat = " ".join(message.split())
    return flat if len(flat) < 300 else f"{flat[:150]} ... {flat[-100:]}"


def _near(fault: ValidationError, key: str) -> str | None:
    """The setting that a key that is none may mean; None where there is nothing like it."""
    if fault.validator == "additionalProperties" and isinstance(fault.schema, Mapping):
        known = list(fault.schema.get("properties", ()))
        unknown = [name for name in fault.instance if name not in known]
    else:  # a name that is no setting is taken for that of a dataset
        unknown = [key] if key and "." not in key and fault.validator == "type" else []
        known = [*_validator().schema["properties"], "scan", "network", "query", "votes", "out"]
        unknown = [name for name in unknown if name not in known]
    found = [near for name in unknown for near in get_close_matches(name, known, 1)]
    return found[0] if found else None
