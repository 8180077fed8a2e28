"""Damaged files are read as something valid or refused in a sentence, within limits."""

import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import BadInput
from tests.damaged.__main__ import put, tried
from tests.damaged.kinds import KINDS
from tests.damaged.worker import Read, Worker, outcome_of


def test_damaged_files_are_valid_or_refused() -> None:
    counts, faults = tried(seed=1, count=240)
    assert not faults
    assert counts.total() == 240


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_damaged_is_read(kind: str, tmp_path: Path) -> None:
    KINDS[kind].make(tmp_path)
    assert outcome_of(KINDS[kind].read, tmp_path) == ("valid", "")


def test_a_seed_gives_the_same_damage(tmp_path: Path) -> None:
    found = []
    for name in "ab":
        (tmp_path / name).mkdir()
        put(tmp_path / name, "scans.csv", np.random.default_rng([3, 5]))
        found.append((tmp_path / name / "scans.csv").read_bytes())
    assert found[0] == found[1]


def wrong_sentence(folder: Path) -> None:
    raise BadInput("elsewhere", "is wrong", "do something")


def test_faults_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.damaged.worker.SECONDS", 0.5)
    reads: dict[str, Read] = {
        "traceback": lambda folder: int("x"),
        "hang": lambda folder: time.sleep(60),
        "memory": lambda folder: np.ones(1 << 30),
        "valid": lambda folder: None,
    }
    worker = Worker(reads)
    try:
        for expected in reads:
            assert worker(expected, tmp_path, 10)[0] == expected
    finally:
        worker.close()
    assert outcome_of(wrong_sentence, tmp_path)[0] == "traceback"
