"""What a user reads at the end of a run that could not make everything."""

import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.plan.plan import Plan

MOST = 20  # sentences


def print_not_made(plans: Iterable[Plan]) -> None:
    """Print why a run that went on could not make some scans: the first failure of each."""
    found = {note: None for plan in plans for _, note in plan.notes()}
    for note in [*found][:MOST]:
        print(f"{note.failed} of {note.scan}: {note.sentence}", file=sys.stderr, flush=True)
    if len(found) > MOST:
        print(f"and {len(found) - MOST} more: see logs/", file=sys.stderr, flush=True)


def print_last_words(failed: Iterable[Any]) -> None:
    """Print the last line of the log of each job of Snakemake that failed: the sentence of why."""
    for job in failed:
        for log in job.log:
            with suppress(OSError, ValueError):
                lines = Path(log).read_text(encoding="utf-8").split("\n")
                last = [line.strip() for line in lines if line.strip()][-1:]
                print(*(f"{job.name}: {line}" for line in last), file=sys.stderr, flush=True)
