"""`python -m pipeline store status DATASET`: what a run would find, and what it has to make.

Nothing is made, and no raw file is read: entries are named by the digests that earlier runs
recorded. Time and disk are estimated from what other entries of the same stage took.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pipeline.plan.plan import Plan
from pipeline.progress import format_duration
from pipeline.store import filesystem, records
from pipeline.tables import aligned, format_bytes
from pipeline.upkeep import inventory

SAMPLE = 200  # records that are read at most for a mean


@dataclass(frozen=True)
class Recorded:
    """What an entry of a stage took on average, and by which entries that is known."""

    seconds: float
    bytes: float
    source: str


@dataclass(frozen=True)
class Stage:
    """How many entries of a stage there are, and what the others will take."""

    name: str
    planned: int
    present: int
    bytes: int  # of those present
    recorded: Recorded | None

    @property
    def missing(self) -> int:
        """The number of entries that have to be made."""
        return self.planned - self.present

    @property
    def seconds_needed(self) -> float | None:
        """The seconds that those missing will take, one after another; None if unknown."""
        if self.recorded:
            return self.recorded.seconds * self.missing
        return None if self.missing else 0

    @property
    def bytes_needed(self) -> float | None:
        """The bytes that those missing will take; None if unknown."""
        if self.recorded:
            return self.recorded.bytes * self.missing
        return None if self.missing else 0


def survey(plan: Plan) -> list[Stage]:
    """The stages that make entries, upstream before downstream."""
    root = Path(plan.facts.store)
    everywhere = inventory.folders(root)[0] if root.is_dir() else []
    homes: dict[str, set[str]] = {}
    for stage, name in plan.entries:
        homes.setdefault(stage, set()).add(plan.home(stage, name).name)
    found = []
    for stage in sorted(homes, key=plan.stages.index):
        folder = root / plan.dataset / stage / plan.keys[stage]
        present = inventory.list_folder(folder).entries
        sizes = [present[name] for name in homes[stage] & present.keys()]
        others = [path for path in everywhere if path.parent.name == stage]
        recorded = nearest(folder, others)
        found.append(Stage(stage, len(homes[stage]), len(sizes), sum(sizes), recorded))
    return found


def nearest(folder: Path, others: Sequence[Path]) -> Recorded | None:
    """The mean of the records of a folder, else of others of its dataset, else of any."""
    dataset = [path for path in others if path.parents[1] == folder.parents[1]]
    for source, where in (
        ("these settings", [folder]),
        ("other settings", dataset),
        ("other datasets", others),
    ):
        known = sample(where)
        if known:
            seconds, sizes = zip(*known, strict=True)
            return Recorded(fmean(seconds), fmean(sizes), source)
    return None


def sample(folders: Iterable[Path], most: int = SAMPLE) -> list[tuple[float, float]]:
    """Seconds and bytes of up to `most` entries that were made in folders, evenly spread."""
    found = [
        folder / records.FOLDER / name
        for folder in folders
        for name in sorted(filesystem.list_names(folder / records.FOLDER))
    ]
    some = found[:: math.ceil(len(found) / most) or 1]
    return [known for known in map(_read, some) if known]


def _read(record: Path) -> tuple[float, float] | None:
    """Seconds and bytes by a record; None where it is damaged."""
    try:
        known = json.loads(filesystem.read_text(record))
        seconds, size = float(known["seconds"]), float(known["bytes"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return (seconds, size) if 0 <= seconds < math.inf and 0 <= size < math.inf else None


def table(stages: Sequence[Stage]) -> str:
    """The stages and their sum, as a table in text."""
    head = ("stage", "planned", "present", "missing", "on disk", "time needed", "disk needed")
    rows: list[tuple[str, ...]] = [(*head, "time each", "size each", "estimated from")]
    for name, part in (*((stage.name, [stage]) for stage in stages), ("all", stages)):
        known = part[0].recorded if name != "all" else None
        each = (format_duration(known.seconds), format_bytes(known.bytes)) if known else ("", "")
        counts = (sum(getattr(stage, what) for stage in part) for what in head[1:4])
        rows.append(
            (
                name,
                *map(str, counts),
                format_bytes(sum(stage.bytes for stage in part)),
                _sum([stage.seconds_needed for stage in part], format_duration),
                _sum([stage.bytes_needed for stage in part], format_bytes),
                *each,
                known.source if known else "",
            )
        )
    return aligned(rows, left=(0, len(rows[0]) - 1))


def _sum(parts: Sequence[float | None], formatted: Callable[[float], str]) -> str:
    """A sum, parts of which may be unknown."""
    known = [part for part in parts if part is not None]
    if not known:
        return "unknown"
    return formatted(sum(known)) + (" + unknown" if len(known) < len(parts) else "")


def format_report(plan: Plan, stages: Sequence[Stage], fault: str | None) -> str:
    """The table, and what it leaves out."""
    lines = [table(stages)]
    unknown = sum(scan not in plan.facts.raw_digests for scan in plan.facts.scans)
    if unknown:
        lines.append(
            f"The raw files of {unknown} of {len(plan.facts.scans)} scans were never read, here or "
            "by others who use this store; what is made from them counts as missing."
        )
    if fault:
        lines.append(f"What depends on the weights counts as missing: {fault}")
    lines.append("Times are of one job after another; changes of raw files are not detected.")
    return "\n".join(lines)
