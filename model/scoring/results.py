"""Reading the results that the stage `evaluate` writes."""

import json
from pathlib import Path
from typing import Any


def read_results(path: Path) -> list[dict[str, Any]]:
    """The results in an entry of `evaluate`: counts by scan and in total, and what they are of."""
    results: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["results"]
    return results
