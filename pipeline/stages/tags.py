"""Stage tags: the scene tags of a scan, that is, which classes are in it.

These are the only supervision. They come from a file that a person wrote, or, for data with dense
labels, from these: then a class needs a minimum share of the points, because otherwise a single
stray vertex would add it. Without any tags (annotation-free), every class may be present.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.stages.declaration import Stage
from pipeline.store import arrays


@dataclass(frozen=True)
class Settings:
    """The section `tags` of the config, with the dataset's classes and the content of the file."""

    source: Literal["dense", "file", "none"]
    classes: Sequence[str]
    min_share: float = 0.001  # of the labelled points; for "dense"
    file: Mapping[str, Sequence[str]] | None = None  # the classes in each scan; for "file"


class TagsStage(Stage):
    """Which classes are in a scan: scene tags, the only supervision."""

    reads = ("labels",)
    packages = ("numpy",)
    memory_mb, minutes = 1000, 1
    wants_name = True

    def upstream(self, facts: Facts) -> tuple[str, ...]:
        """Dense labels, where the tags do not come from a file or from nothing."""
        return self.reads if facts.dense_tags else ()

    def params(self, facts: Facts) -> dict[str, Any]:
        """The section with the classes and the content of the tag files."""
        params = super().params(facts)
        params |= {"classes": [c["name"] for c in facts.classes], "file": facts.tags}
        return params | ({} if facts.tags is None else {"source": "file"})


class Worker:
    """Writes the tags of one scan per call."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.settings = Settings(**params)

    def __call__(self, out: zarr.Group, scan: str, labels: zarr.Group | None = None) -> None:
        """Write `present` bool (K,). Raises `BadInput` where the file has no tags for the scan."""
        settings = self.settings
        if settings.source == "dense":
            assert labels is not None
            label = np.asarray(labels["label"])
            present = by_share(label, len(settings.classes), settings.min_share)
        elif settings.source == "none":
            present = np.ones(len(settings.classes), bool)
        else:
            present = by_name(settings.file or {}, scan, settings.classes)
        arrays.write(out, "present", present)
        out.attrs["classes"] = list(settings.classes)


def by_share(label: NDArray[np.int16], classes: int, min_share: float) -> NDArray[np.bool_]:
    """The classes (K,) with at least `min_share` of the points (N,) that have a label >= 0."""
    count = np.bincount(label[label >= 0], minlength=classes)
    return (count > 0) & (count >= min_share * count.sum())


def by_name(
    tags: Mapping[str, Sequence[str]], scan: str, classes: Sequence[str]
) -> NDArray[np.bool_]:
    """The classes (K,) that the file lists for the scan. Raises `BadInput` without such a line."""
    if scan not in tags:
        raise BadInput("tag file", f"has no line for {scan}", "add one")
    return np.isin(np.array(classes, str), np.array(tags[scan], str))
