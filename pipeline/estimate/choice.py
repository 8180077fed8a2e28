"""The plan that is estimated, how large its scans are, and the few of them that are measured."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.facts import Facts
from pipeline.plan import config, making, rawdata, weights
from pipeline.plan.plan import Plan


def planned(dataset: str, path: Path) -> tuple[Plan, str | None]:
    """The plan of a run, made without raw files, and what is wrong with the weights, if anything.

    Raises `BadInput` for a bad config, an unknown dataset or one without a scan.
    """
    facts = config.plan(dataset, path, wanted=False).facts
    digest, fault = None, None
    try:
        digest = weights.weights_digest(facts.section["embeddings"], Path(facts.store))
    except (BadInput, OSError) as error:
        fault = str(error)
    plan = Plan(replace(facts, weights=digest, keys=None))
    if not plan.facts.scans:
        rawdata.require_scans(plan.facts)
    return plan, fault


def fetched(plan: Plan) -> str | None:
    """Fetch weights that a key needs and nobody here knows; what is wrong, if they are not had."""
    try:
        weights.fetch_unknown(plan.section["embeddings"], Path(plan.facts.store))
    except (BadInput, OSError) as error:
        return str(error)
    return None


def raw_sizes(plan: Plan) -> dict[str, dict[str, float]]:
    """Scan -> group of its raw files -> bytes, of all scans whose files are here and complete."""
    found: dict[str, dict[str, float]] = {}
    if not plan.raw.is_dir():
        return found
    for scan in plan.facts.scans:
        try:
            files = rawdata.scan_files(plan, scan)
            found[scan] = {
                group: float(sum(path.stat().st_size for path in names.values()))
                for group, names in files.items()
            }
        except (BadInput, OSError):
            continue
    return found


def choose(names: Sequence[str], sizes: Mapping[str, Mapping[str, float]], count: int) -> list[str]:
    """Some scans of different size, the quantiles; where sizes are unknown, evenly spread."""
    size = {name: sum(sizes.get(name, {}).values()) for name in names}
    ordered = sorted(names, key=lambda name: size[name])
    count = min(count, len(ordered))
    return [ordered[int((part + 0.5) * len(ordered) / count)] for part in range(count)]


def part(facts: Facts, train: Sequence[str], val: Sequence[str]) -> Facts:
    """The facts of some scans alone, whose raw files are read for their digests."""
    some = replace(facts, splits={"train": [*train], "val": [*val]})
    plan = Plan(replace(some, keys=None, raw_digests={}))
    return replace(plan.facts, keys=plan.keys, raw_digests=making.raw_digests(plan, True))
