"""The table of damaged files: python -m tests.damaged [--seed 0] [--count 2000]"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from tests.damaged.damage import damaged
from tests.damaged.kinds import KINDS
from tests.damaged.worker import Outcome, Worker

OUTCOMES: tuple[Outcome, ...] = ("valid", "refused", "traceback", "hang", "memory")
FAULTS = OUTCOMES[2:]


def main() -> int:
    """Read `count` damaged files and print the table; 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=2000)
    asked = parser.parse_args()
    print(f"seed {asked.seed}, {asked.count} damaged files")
    counts, faults = tried(asked.seed, asked.count)
    print(f"{'kind':20}" + "".join(f"{name:>11}" for name in OUTCOMES))
    for kind in KINDS:
        print(f"{kind:20}" + "".join(f"{counts[kind, name]:11}" for name in OUTCOMES))
    print(*faults, sep="\n")
    return bool(faults)


def tried(seed: int, count: int) -> tuple[Counter[tuple[str, Outcome]], list[str]]:
    """Counts by kind and outcome of `count` files, of all kinds in turn, and what went wrong."""
    counts: Counter[tuple[str, Outcome]] = Counter()
    faults: list[str] = []
    worker = Worker({name: kind.read for name, kind in KINDS.items()})
    try:
        for number in range(count):
            kind = [*KINDS][number % len(KINDS)]
            with tempfile.TemporaryDirectory() as folder:
                size = put(Path(folder), kind, np.random.default_rng([seed, number]))
                outcome, said = worker(kind, Path(folder), size)
            counts[kind, outcome] += 1
            if outcome in FAULTS:
                faults.append(f"{number}: {kind}: {outcome}: {said}")
    finally:
        worker.close()
    return counts, faults


def put(folder: Path, kind: str, rng: np.random.Generator) -> int:
    """Make a file of a kind in an empty folder and damage it; the bytes that it has then."""
    path = KINDS[kind].make(folder)
    if path.is_dir():
        parts = sorted(part for part in path.rglob("*") if part.is_file())
        path = parts[int(rng.integers(len(parts)))]
    path.write_bytes(damaged(path.read_bytes(), rng))
    return path.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
