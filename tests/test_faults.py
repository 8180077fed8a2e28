"""Runs that are killed, and runs that share a store, end with the same entries, each made once.

Only the stages that need no torch are run here, for about a minute each. The long forms, which run
the whole workflow, are `python -m tests.faults.kill --kills 100` and `python -m
tests.faults.together --trees 8`.
"""

from pathlib import Path

from tests.faults import kill, together
from tests.faults.workflow import FEW


def test_runs_that_are_killed_make_the_same_entries(tmp_path: Path) -> None:
    tally = kill.run(tmp_path, kills=6, seed=0, stages=FEW)
    assert not tally.faults
    assert tally.kills.total() == 6
    assert tally.hit


def test_work_trees_that_start_together_make_each_entry_once(tmp_path: Path) -> None:
    assert not together.run(tmp_path, count=3, stages=FEW)
