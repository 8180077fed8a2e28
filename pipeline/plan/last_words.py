"""What a user reads at the end of a run that could not make everything."""

import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.plan.plan import Plan

MOST = 20  # sentences
# Of a job about an entry, `demo frames scene0000_00: ...`, unless it says that this was made.
_FAILED = re.compile(r"\w+ \w+ \S+: (?!\w+ in \d+\.\d s$)")


def print_not_made(plans: Iterable[Plan]) -> None:
    """Print why a run that went on could not make some scans: the first failure of each."""
    found = {note: None for plan in plans for _, note in plan.notes()}
    for note in [*found][:MOST]:
        print(f"{note.failed} of {note.scan}: {note.sentence}", file=sys.stderr, flush=True)
    if len(found) > MOST:
        print(f"and {len(found) - MOST} more: see logs/", file=sys.stderr, flush=True)


def print_last_words(failed: Iterable[Any]) -> None:
    """Print of each job of Snakemake that failed why: its failures by its log, or the last line."""
    for job in failed:
        for log in job.log:
            with suppress(OSError, ValueError):
                lines = Path(log).read_text(encoding="utf-8").split("\n")
                said = [line.strip() for line in lines if line.strip()]
                why = [line for line in said if _FAILED.match(line)][:MOST] or said[-1:]
                for line in why:
                    print(f"{job.name}: {line}", file=sys.stderr, flush=True)
