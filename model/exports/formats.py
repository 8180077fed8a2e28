"""The formats of benchmarks: for which datasets they are, and by which ids classes are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.facts import ClassRow
from pipeline.plan import manifest
from pipeline.plan.provenance import ROOT


@dataclass(frozen=True)
class Format:
    """A text file for each scan: the id of a class in each line, for each vertex of its mesh."""

    reader: str  # of the datasets that it is for
    column: str  # of a list of classes, with their ids
    classes: str  # the benchmark's own list

    def valid(self) -> set[int]:
        """The ids that the benchmark knows."""
        return {int(row[self.column]) for row in manifest.read_classes(ROOT / self.classes)}  # type: ignore[literal-required]

    def ids(self, classes: Sequence[ClassRow], names: Sequence[str]) -> NDArray[np.int64]:
        """The id (K,) of each class `names` of a network, by the dataset's `classes`.

        Raises `BadInput` for a class without an id, or with one that the benchmark does not know.
        """
        known, valid = {row["name"]: row.get(self.column) for row in classes}, self.valid()
        for name in names:
            if known.get(name) not in valid:
                what = f"the network's class {name!r} has no {self.column} of the benchmark there"
                where = "the classes of the dataset"
                raise BadInput(where, what, f"set `classes:` to {self.classes}, or train with it")
        return np.array([known[name] for name in names], np.int64)


# Source: the benchmark's documentation, and `BenchmarkScripts` of github.com/ScanNet/ScanNet.
FORMATS = {
    "scannet": Format("scannet", "nyu40", "data_manifest/scannet/classes.csv"),
    "scannet200": Format("scannet", "label_id", "data_manifest/scannet/classes_200.csv"),
}
