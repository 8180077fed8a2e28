"""`python -m pipeline store status DATASET`: what a run would find, and what it has to make.

Nothing is made, and no raw file is read: entries are named by the digests that earlier runs
recorded. Time and disk are those of `python -m pipeline estimate`, as far as they are known: by
records of the same settings, and by what it has measured.
"""

from collections.abc import Callable, Sequence

from pipeline.estimate import measured
from pipeline.estimate.forecast import Forecast, forecasts
from pipeline.plan import graph
from pipeline.plan.plan import Plan
from pipeline.progress import format_duration
from pipeline.tables import aligned, format_bytes


def survey(plan: Plan) -> list[Forecast]:
    """The stages that make entries, upstream before downstream."""
    found = forecasts(plan, measured=measured.read(plan))
    return [each for stage, each in found.items() if graph.stage(stage).stored]


def table(stages: Sequence[Forecast]) -> str:
    """The stages and their sum, as a table in text."""
    head = ("stage", "planned", "present", "missing", "on disk", "time needed", "disk needed")
    rows: list[tuple[str, ...]] = [(*head, "known by")]
    for name, part in (*((each.stage, [each]) for each in stages), ("all", stages)):
        missing, planned = (sum(counts) for counts in zip(*map(_counts, part), strict=True))
        rows.append(
            (
                name,
                *map(str, (planned, planned - missing, missing)),
                format_bytes(sum(each.present_bytes for each in part)),
                _sum([each.total("seconds") for each in part], format_duration),
                _sum([each.total("bytes") for each in part], format_bytes),
                part[0].source if name != "all" else "",
            )
        )
    return aligned(rows, left=(0, len(rows[0]) - 1))


def _counts(stage: Forecast) -> tuple[int, int]:
    return len(stage.missing), stage.planned


def _sum(parts: Sequence[float | None], formatted: Callable[[float], str]) -> str:
    """A sum, parts of which may be unknown."""
    known = [part for part in parts if part is not None]
    if not known:
        return "unknown"
    return formatted(sum(known)) + (" + unknown" if len(known) < len(parts) else "")


def format_report(plan: Plan, stages: Sequence[Forecast], fault: str | None) -> str:
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
    if any(each.missing and each.entries is None for each in stages):
        lines.append(
            "What was never made with these settings is unknown: `python -m pipeline estimate "
            f"{plan.dataset}` measures it on a few scans."
        )
    lines.append("Times are of one job after another; changes of raw files are not detected.")
    return "\n".join(lines)
