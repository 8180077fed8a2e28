"""What was measured of stages beside the store, kept in the work tree for the runs to come."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.estimate.forecast import Measured
from pipeline.estimate.ratios import Sizes
from pipeline.plan.plan import Plan
from pipeline.whole_file import whole_file


def path_for(plan: Plan) -> Path:
    """Where it is kept."""
    return plan.path.with_name("measured.json")


def sizes_path(plan: Plan) -> Path:
    """Where the sizes of the raw files are kept that were looked at."""
    return plan.path.with_name("sizes.json")


def read_sizes(plan: Plan) -> dict[str, dict[str, float]]:
    """What `write_sizes` wrote; nothing where it cannot be read."""
    try:
        said = json.loads(sizes_path(plan).read_text(encoding="utf-8"))
        return {
            scan: {group: float(size) for group, size in groups.items()}
            for scan, groups in said.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_sizes(plan: Plan, sizes: Sizes) -> None:
    """Keep the sizes, so that a run forecasts by them without a look at the raw files."""
    _write(sizes_path(plan), sizes)


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
    _write(path_for(plan), content)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
