"""Stage text where `features` are given: their text embeddings -> the same entry."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import zarr

from pipeline.errors import BadInput
from pipeline.readers.features.reader import Texts
from pipeline.store import arrays

PACKAGES = ("numpy",)


class Worker:
    """Picks the rows of a set of classes."""

    def __init__(
        self, params: Mapping[str, Any], parts: Mapping[str, ModuleType] | None = None
    ) -> None:
        """`params`: classes, their names in the order of the rows to write."""
        self._classes: list[str] = list(params["classes"])

    def __call__(self, out: zarr.Group, raw: Texts) -> None:
        """Write `embedding` f32 (K, d), L2-normalised, and the attribute classes.

        Raises `BadInput` where a class has no row.
        """
        absent = [name for name in self._classes if name not in raw.classes]
        if absent:
            what = f"has no row for {len(absent)} of the classes, the first: {absent[0]}"
            raise BadInput(raw.path, what, "add them, or set `classes:` to a csv file that fits")
        rows = [raw.classes.index(name) for name in self._classes]
        arrays.write(out, "embedding", raw.embedding[rows], compress=False)
        out.attrs["classes"] = self._classes
