"""What was measured of stages beside the store, kept in the work tree for the runs to come."""

import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.estimate.forecast import Measured
from pipeline.plan.plan import Plan
from pipeline.whole_file import whole_file


def path_for(plan: Plan) -> Path:
    """Where it is kept."""
    return plan.path.with_name("measured.json")


def read(plan: Plan) -> dict[str, Measured]:
    """Stage -> what was measured; nothing where none of it can be read."""
    try:
        said = json.loads(path_for(plan).read_text(encoding="utf-8"))
        return {stage: Measured.from_json(each) for stage, each in said.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def write(plan: Plan, found: Mapping[str, Measured]) -> None:
    """Keep what was measured, in the place of what was before."""
    content = {stage: each.to_json() for stage, each in found.items()}
    with whole_file(path_for(plan)) as partial:
        partial.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
