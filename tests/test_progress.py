"""Progress is a bar on a terminal, and in a log a few plain lines."""

import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import progress
from pipeline.progress import Progress

ROOT = Path(__file__).parents[1]
WORK = "from pipeline.progress import Progress\nfor _ in Progress(range(50), 'scoring'): pass\n"


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """The lines on stderr since the last call, of which none has a carriage return."""

    def read() -> list[str]:
        text = capsys.readouterr().err
        assert "\r" not in text
        assert text == "" or text.endswith("\n")
        return text.splitlines()

    return read


def test_short_work_is_one_line_in_a_log(lines: Callable[[], list[str]]) -> None:
    for _ in Progress(range(40), "scoring", unit="scan", mininterval=0):
        pass
    (line,) = lines()
    assert line.startswith("scoring: 100% 40/40 [")
    assert "scan/s" in line


@pytest.mark.parametrize("total", [3, 10, 1000])
def test_long_work_has_at_most_ten_lines_and_a_last_one(
    total: int, lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0)
    with Progress(desc="training", total=total, mininterval=0) as bar:
        for step in range(total):
            bar.update()
            bar.set_postfix(loss=f"{step}")  # tqdm would show it at once
    found = lines()
    assert min(total, 9) <= len(found) <= 11
    assert found[-1].startswith(f"training: 100% {total}/{total} [")
    assert all(f"loss={line.split()[2].partition('/')[0]}" for line in found)


def test_half_a_minute_is_between_two_lines(
    lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with Progress(desc="training", total=100, mininterval=0) as bar:
        for _ in range(100):
            now += 2  # so 10 % are 20 s
            bar.update()
    shown = [int(line.split()[2].partition("/")[0]) for line in lines()]
    assert shown == [15, 30, 45, 60, 75, 90, 100]


def test_work_that_resumes_goes_on_from_where_it_was(lines: Callable[[], list[str]]) -> None:
    with Progress(desc="training", total=10, initial=8, mininterval=0) as bar:
        bar.update()
    begin, end = lines()
    assert begin == "training: goes on after 8 of 10"
    assert end.startswith("training:  90% 9/10 [")
    with Progress(desc="training", total=10, initial=10, mininterval=0):
        pass
    assert lines() == [], "nothing was done"


@given(st.integers(0, 30), st.integers(0, 30))
def test_all_items_pass_through(count: int, stop: int) -> None:
    taken = [item for item in Progress(range(count)) if item < stop]
    assert taken == [*range(min(count, stop))]


def test_a_log_through_a_pipe_has_no_carriage_return() -> None:
    done = subprocess.run([sys.executable, "-c", WORK], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == b""
    assert done.stderr.startswith(b"scoring: 100% 50/50 [")
    assert done.stderr.count(b"\n") == 1
    assert b"\r" not in done.stderr


def test_a_terminal_has_a_bar() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    subprocess.run([sys.executable, "-c", WORK], cwd=ROOT, stderr=theirs, check=True)
    os.close(theirs)
    text = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert "\rscoring: 100%|" in text
    assert "█" in text or "#" in text
    assert text.count("\n") == 1
