"""data_manifest/blessed.csv: the recipes whose entries the current code keeps."""

import csv
from typing import NamedTuple

from pipeline.plan import manifest
from pipeline.whole_file import whole_file


class Blessing(NamedTuple):
    """A line of blessed.csv."""

    stage: str
    new: str  # key of the current recipe
    old: str  # key of the recipe whose entries it keeps
    entries: str  # what was compared: <dataset>/<name>@<digest>, joined by spaces
    how: str  # "bytes", or "cosine" and the lowest that was allowed


def read() -> list[Blessing]:
    """All lines. Raises `BadInput` where the file is malformed."""
    manifest.read_blessed(manifest.BLESSED)
    if not manifest.BLESSED.exists():
        return []
    with manifest.BLESSED.open(newline="", encoding="utf-8") as file:
        return [Blessing(*(row[f] for f in Blessing._fields)) for row in csv.DictReader(file)]


def add(blessing: Blessing) -> None:
    """Append a line. Raises `BadInput` where the file is malformed or cannot be written."""
    rows = [*read(), blessing]
    with (
        whole_file(manifest.BLESSED) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows([Blessing._fields, *rows])
