"""Estimates by proportion from a sample (W. G. Cochran, "Sampling Techniques", 1977, chapter 6)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median

from scipy.special import stdtrit

from pipeline.estimate.known import Known

Sizes = Mapping[str, Mapping[str, float]]  # scan -> group of raw files -> bytes
CONFIDENCE = 0.9


def works(sizes: Sizes, names: Iterable[str], groups: Sequence[str]) -> dict[str, float]:
    """How much work each scan is, relative to the mean: the product over groups of raw files.

    A scan whose files are not here counts as the mean.
    """
    found = dict.fromkeys(names, 1.0)
    for group in groups:
        own = {name: sizes.get(name, {}).get(group) for name in found}
        there = [size for size in own.values() if size]
        for name, size in own.items():
            found[name] *= size / fmean(there) if size else 1.0
    return found


def ratio(work: Mapping[str, float], values: Mapping[str, float]) -> float:
    total = sum(work[name] for name in values)
    return sum(values.values()) / total if total else 0.0


def spread(
    work: Mapping[str, float], values: Mapping[str, float], ratio: float, missing: Sequence[str]
) -> float | None:
    """Half the width of the interval of the sum over what is missing; None with one sample."""
    count = len(values)
    if count < 2:
        return 0.0 if not missing else None
    squares = sum((value - ratio * work[name]) ** 2 for name, value in values.items())
    variance, ahead = squares / (count - 1), sum(work[name] for name in missing)
    share = ahead / max(sum(work[name] for name in values), 1e-12)
    error = math.sqrt(variance * (len(missing) + share**2 * count))
    return float(stdtrit(count - 1, 0.5 + CONFIDENCE / 2)) * error


def start(records: Iterable[Known]) -> tuple[float, float]:
    """Seconds, and those of all cores, that a process takes before its first entry."""
    first = [each for each in records if each.start is not None]
    if not first:
        return 0.0, 0.0
    return median(e.start or 0.0 for e in first), median(e.start_cpu or 0.0 for e in first)


def alike(name: str, records: Mapping[str, Known]) -> Known:
    """What the entry of the same variant took, with another seed, or else the mean of all."""
    kind = name.rpartition("-")[0]
    same = [each for other, each in records.items() if other.rpartition("-")[0] == kind]
    same = same or [*records.values()]
    cpus = [each.cpu for each in same if each.cpu is not None]
    return Known(
        seconds=fmean(each.seconds for each in same),
        bytes=fmean(each.bytes for each in same),
        cpu=fmean(cpus) if cpus else None,
        memory_mb=max((each.memory_mb for each in same if each.memory_mb), default=None),
        gpu_mb=max((each.gpu_mb for each in same if each.gpu_mb), default=None),
    )
