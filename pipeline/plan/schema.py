"""The config is compared with its schema, which has the defaults too."""

from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate as _validate

from pipeline.errors import BadInput
from pipeline.plan.provenance import ROOT

SCHEMA = ROOT / "workflow" / "config.schema.yaml"


def validate(config: dict[str, Any], where: Path | str) -> None:
    """Put defaults in. Raises `BadInput` where a key is unknown or has a bad value."""
    try:
        _validate(config, str(SCHEMA))
    except WorkflowError as error:
        fault = error.__context__  # jsonschema's own, which is shorter
        key = getattr(fault, "json_path", "$").removeprefix("$").removeprefix(".")
        what = f"{key}: {getattr(fault, 'message', error)}".removeprefix(": ")
        raise BadInput(where, what, f"see {SCHEMA.name} for what is allowed") from error
