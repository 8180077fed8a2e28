"""Stage labels: the dense ground truth of a scan's points. The trainer never reads it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr

from pipeline.facts import Facts
from pipeline.scan import Labels
from pipeline.stages.declaration import Stage
from pipeline.store import arrays


class LabelsStage(Stage):
    """Class and instance of each point; for scores, and for scene tags."""

    raw = "labels"
    packages = ("numpy",)
    minutes = 10

    def params(self, facts: Facts) -> dict[str, Any]:
        """The classes, by what a reader knows them by."""
        known = ("name", "nyu40", "label_id")
        rows = [{n: value for n, value in row.items() if n in known} for row in facts.classes]
        return {"classes": rows}


class Worker:
    """Stores the labels of one scan per call; `classes` are those that its reader was given."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.classes = [each["name"] for each in params["classes"]]

    def __call__(self, out: zarr.Group, raw: Labels) -> None:
        """Write `label` i16 (N,), -1 = ignored, and `instance` i32 (N,) from 1, 0 = none."""
        arrays.write(out, "label", raw.label.astype(np.int16))
        arrays.write(out, "instance", raw.instance.astype(np.int32))
        out.attrs["classes"] = self.classes
