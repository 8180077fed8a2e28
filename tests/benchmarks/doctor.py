"""How many planted mistakes the doctor finds, and whether its advice makes the scan right.

    python -m tests.benchmarks.doctor [--seed 0] [--count 300] [--scan FOLDER]

Mistakes are planted into rooms of boxes, a new one for each ten, or into the real scan of a folder.
The scan without a mistake must give no finding; each mistake must be told in a sentence that names
it; and the scan must be right after its advice was followed. Exits with 1 otherwise.
"""

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from pipeline.doctor import checks, views
from pipeline.doctor.scans import of_folder
from tests.helpers import planted
from tests.helpers.follow import follow
from tests.helpers.planted import Fault, Recorded
from tests.helpers.planting import KINDS

COLUMNS = "planted", "found", "missed", "misnamed", "right after advice"


def main() -> int:
    """Plant, examine, follow; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--kind", choices=KINDS, action="append")
    asked = parser.parse_args()
    rng, kinds = np.random.default_rng(asked.seed), asked.kind or list(KINDS)
    counts, wrong, started = {kind: Counter[str]() for kind in kinds}, [], time.monotonic()
    scans = extra = 0
    raw = planted.in_memory(of_folder(asked.scan).open()[0]) if asked.scan else None
    for i in range(asked.count):
        if i == 0 or (asked.scan is None and i % 10 == 0):
            raw = raw if asked.scan and raw else planted.analytic(rng)
            scans, said = scans + 1, sentences(raw)
            extra += len(said)
            wrong += [f"clean: {each}" for each in said]
        kind = kinds[i % len(kinds)]
        assert raw is not None
        fault = KINDS[kind](rng, raw)
        judge(fault, counts[kind], wrong, kind)
        print(f"{i + 1} of {asked.count}", file=sys.stderr, end="\r")
    print(f"seed {asked.seed}, {time.monotonic() - started:.0f} s")
    print(f"{'':38}" + "".join(f"{name:>20}" for name in COLUMNS))
    for kind, count in counts.items():
        print(f"{kind:38}" + "".join(f"{count[name]:20}" for name in COLUMNS))
    print(f"findings on {scans} scans without a mistake: {extra}")
    print(*wrong, sep="\n")
    return bool(wrong)


def sentences(raw: Recorded) -> list[str]:
    """What the doctor says about a recording that has no cloud."""
    found = checks.examine(raw, views.take(raw, 12), None)
    return [*map(str, found.findings)]


def judge(fault: Fault, count: Counter[str], wrong: list[str], kind: str) -> None:
    """Examine a mistake, follow the advice, and count."""
    count["planted"] += 1
    said = sentences(fault.recording)
    count["found" if said else "missed"] += 1
    named = any(word in each for word in fault.words for each in said)
    count["misnamed"] += bool(said) and not named
    mended = follow(said[0], fault.recording) if said else None
    after = sentences(mended) if mended else []
    count["right after advice"] += mended is not None and not after
    if not named or after:
        wrong.append(f"{kind}: {fault.what}: {said}; after: {after}")


if __name__ == "__main__":
    sys.exit(main())
