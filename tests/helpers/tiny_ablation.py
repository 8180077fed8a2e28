"""A dataset with an ablation, of which nothing is computed, and counts for its tables."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from model.scoring.results import Result, as_result
from pipeline.plan import config
from pipeline.plan.plan import Plan

ROOT = Path(__file__).parents[2]
Overrides = Mapping[Any, Any]  # of a config that may be wrong
ROWS: Overrides = {
    "No text loss": {"train": {"loss": {"text": 0}}},
    "ESGS": {"train": {"variants": ["esgs"]}},
    "half the frames": {"frames": {"every": 2}},
    "no vote": {"pseudo_labels": {"superpoints": "none"}},
    "18A": {"train": {"network": {"arch": "18A"}}},
}


def planned(folder: Path, rows: Overrides | None = ROWS, **changed: Any) -> Plan:
    """A plan of `demo` with an ablation; nothing of it is computed."""
    folder.mkdir(parents=True, exist_ok=True)
    described = yaml.safe_load((ROOT / config.CONFIG).read_text())
    described["results"], described["work"] = str(folder / "results"), str(folder / "work")
    described["demo"].pop("ablation", None)
    described["demo"] |= changed | ({} if rows is None else {"ablation": rows})
    (folder / "config.yaml").write_text(yaml.safe_dump(described, sort_keys=False))
    return config.plan("demo", folder / "config.yaml", wanted=False)


CLASSES = ["wall", "floor"]


def result(row: str, right: int, seed: int | None = None, split: str = "val") -> Result:
    """Of ten points of each class `right` are right, the others have no label."""
    counts = np.zeros((2, 2, 3), np.int64)
    counts[:, [0, 1], [0, 1]], counts[:, :, 2] = right, 10 - right
    made = as_result(row, split, CLASSES, {"room": counts})
    return made | ({} if seed is None else {"seed": seed, "selection": "last step"})


def lines_of(text: str) -> list[list[str]]:
    return [re.split(r"  +", line.strip()) for line in text.splitlines()]
