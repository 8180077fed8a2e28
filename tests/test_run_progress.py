"""What a run shows of itself: one line in the place of Snakemake's, and every error as it is."""

import io
import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from pipeline.estimate import reporter
from pipeline.estimate.reporter import WIPE, Reporter
from pipeline.estimate.schedule import Job, makespan

JOBS = {n: Job(n, "frames" if n < 3 else "train", 10.0) for n in range(4)}


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> Iterator[Terminal]:
    """What Snakemake and the reporter write to, as long as the test runs."""
    found = Terminal()
    handler = logging.StreamHandler(found)
    handler.name = reporter.HANDLER
    before, level = logger.handlers[:], logger.level
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    yield found
    logger.handlers[:] = before
    logger.setLevel(level)


def event(kind: LogEvent | None, message: str = "", level: int = logging.INFO, **said: int) -> None:
    logger.log(level, message, extra={"event": kind, **said})


def shown(text: str) -> str:
    """What a terminal shows in the end, without lines that were written over."""
    return re.sub(r"[^\n]*" + re.escape(WIPE), "", text)


def test_the_line_counts_what_is_done_and_says_how_long_the_rest_takes(stream: Terminal) -> None:
    run = Reporter("demo", JOBS, lambda jobs, running: 10.0 * len(jobs), stream)
    assert run.begin()
    event(LogEvent.JOB_INFO, "rule frames: ...", jobid=0)
    event(LogEvent.JOB_INFO, "rule frames: ...", jobid=1)
    event(LogEvent.JOB_FINISHED, "Finished", job_id=0)
    line = shown(stream.getvalue())
    assert line.startswith("demo: 1 of 4 jobs done; running: frames; about 30.0 s left, until ")
    run.close()
    assert shown(stream.getvalue()) == "", "the line is gone"


def test_messages_of_jobs_are_kept_from_the_terminal_and_all_others_are_not(
    stream: Terminal,
) -> None:
    run = Reporter("demo", JOBS, lambda jobs, running: None, stream)
    run.begin()
    for kind in (LogEvent.JOB_INFO, LogEvent.JOB_FINISHED):
        event(kind, "noise", jobid=0, job_id=0)
    event(None, "Select jobs to execute...")
    event(LogEvent.PROGRESS, "1 of 4 steps", done=1, total=4)
    event(None, "Shutting down, this might take some time.")
    event(LogEvent.JOB_ERROR, "Error in rule train", logging.ERROR, jobid=3)
    event(None, "something new", logging.WARNING)
    run.close()
    event(LogEvent.JOB_INFO, "after the end", jobid=2)
    assert shown(stream.getvalue()).splitlines() == [
        "Shutting down, this might take some time.",
        "Error in rule train",
        "something new",
        "after the end",
    ]


def test_warnings_of_a_job_are_shown_when_it_has_finished(stream: Terminal) -> None:
    said = {0: ["frames of a: is unusual"], 1: []}
    run = Reporter("demo", JOBS, lambda jobs, running: None, stream, lambda number: said[number])
    run.begin()
    for number in said:
        event(LogEvent.JOB_INFO, jobid=number)
        event(LogEvent.JOB_FINISHED, job_id=number)
    run.close()
    assert shown(stream.getvalue()) == "frames of a: is unusual\n"


def test_without_a_terminal_there_is_a_line_now_and_then(
    stream: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "isatty", lambda: False)
    clock = iter(range(0, 10_000, 7))
    monkeypatch.setattr(reporter.time, "monotonic", lambda: next(clock))
    jobs = {n: Job(n, "frames", 1.0) for n in range(400)}
    run = Reporter("demo", jobs, lambda jobs, running: None, stream)
    run.begin()
    for number in jobs:
        event(LogEvent.JOB_INFO, jobid=number)
        event(LogEvent.JOB_FINISHED, job_id=number)
    lines = stream.getvalue().splitlines()
    assert 10 <= len(lines) <= reporter.LINES + 1
    assert not any(control in stream.getvalue() for control in "\r\033")
    assert all(re.match(r"demo: \d+ of 400 jobs done", line) for line in lines)
    run.close()


def test_where_a_plugin_shows_the_run_nothing_is_changed() -> None:
    before = logger.handlers[:]
    logger.handlers[:] = []
    try:
        run = Reporter("demo", JOBS, lambda jobs, running: None)
        assert not run.begin()
        assert logger.handlers == [run], "which counts, and shows nothing"
    finally:
        logger.handlers[:] = before


def test_jobs_wait_for_those_before_them_and_for_cores_and_gpus() -> None:
    assert makespan([Job(n, "a", 10) for n in range(4)], cores=2) == 20
    chain = [Job(n, "a", 10, needs=[n - 1]) for n in range(4)]
    assert makespan(chain, cores=8) == 40
    assert makespan([Job(n, "a", 10, threads=4) for n in range(2)], cores=2) == 20
    assert makespan([Job(n, "a", 10, gpu=1) for n in range(4)], cores=8, gpus=2) == 20
    assert makespan([Job(n, "a", 10, gpu=1) for n in range(4)], cores=8, gpus=0) == 10
    assert makespan(chain, cores=8, running={0: 4.0}) == 36
    assert makespan(chain, cores=8, running={0: 99.0}) == 30


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 9), st.integers(1, 4), st.integers(0, 9)), max_size=12),
    st.integers(1, 4),
)
def test_no_schedule_is_shorter_than_its_work_or_longer_than_one_after_another(
    drawn: list[tuple[float, int, int]], cores: int
) -> None:
    jobs = [
        Job(n, "a", seconds, threads, needs=[n - back] if back else [])
        for n, (seconds, threads, back) in enumerate(drawn)
    ]
    took = makespan(jobs, cores)
    work = sum(job.seconds * min(job.threads, cores) for job in jobs)
    assert work / cores - 1e-9 <= took <= sum(job.seconds for job in jobs) + 1e-9
