"""The table of kinds: python -m tests.other_files [--seed 0] [--count 100] [KIND ...]"""

import argparse
import random
import sys
from collections import Counter

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.other_files import Result, Variant, kinds, result_of


def main() -> int:
    """Try `count` variants of each kind and print the table; 1 where one gave a wrong result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="all, if none is named")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--count", type=int, default=100)
    asked = parser.parse_args()
    print(f"seed {asked.seed}, {asked.count} variants of each kind")
    print(f"{'kind':24}{'right':>8}{'refused':>9}{'wrong':>7}")
    wrong: list[str] = []
    for name in asked.kinds or kinds():
        counts = count(name, asked.seed, asked.count, wrong)
        print(f"{name:24}{counts['right']:8}{counts['refused']:9}{counts['wrong']:7}", flush=True)
    print(*wrong, sep="\n")
    return bool(wrong)


def count(name: str, number: int, many: int, wrong: list[str]) -> Counter[Result]:
    """Count the results of variants of a kind; what went wrong is added to `wrong`."""
    counts: Counter[Result] = Counter()

    @seed(number)
    @settings(
        max_examples=many,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(kinds()[name])
    def try_one(variant: Variant) -> None:
        result, why = result_of(variant)
        counts[result] += 1
        if result == "wrong":
            wrong.append(f"{name}: {variant.what}: {why}")

    try_one()
    return counts


if __name__ == "__main__":
    sys.exit(main())
