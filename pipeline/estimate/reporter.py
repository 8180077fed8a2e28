"""A run on the terminal: one line of progress in the place of Snakemake's messages of each job.

Snakemake's own log has all of them. Errors, warnings and unknown messages are shown as ever. On a
terminal the line is written over, and wiped before anything else is printed; elsewhere it is a line
now and then.
"""

import logging
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any, TextIO

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from pipeline.estimate.schedule import Job
from pipeline.progress import format_duration

HANDLER = "DefaultStreamHandler"  # Snakemake's, to the terminal
WIPE = "\r\033[K"
LINES, SECONDS = 20, 30.0  # lines at most where there is no terminal, and how far they are apart
_OF_JOBS = {
    *(LogEvent.JOB_INFO, LogEvent.GROUP_INFO, LogEvent.SHELLCMD, LogEvent.JOB_STARTED),
    *(LogEvent.JOB_FINISHED, LogEvent.PROGRESS, LogEvent.RESOURCES_INFO),
}
_PLAIN = re.compile(r"Select jobs to execute|Job rate limit|(Group j|J)ob \S+ has been submitted")

Left = Callable[[Mapping[int, Job], Mapping[Any, float]], float | None]


class Reporter(logging.Handler):
    """Follows the events of a run; `close` ends it, and lets all messages through again."""

    def __init__(
        self,
        name: str,
        jobs: Mapping[int, Job],
        left: Left,
        stream: TextIO | None = None,
        warnings: Callable[[int], Iterable[str]] = lambda number: (),
    ) -> None:
        """`left` says for how many more seconds a run goes on with the given jobs to do.

        It is also told for how many seconds those that run have been running; None if unknown.
        `warnings` gives those of a job that has finished, which are shown.
        """
        super().__init__(logging.INFO)
        self._name, self._jobs, self._left = name, dict(jobs), left
        self._stream, self._warnings = stream or sys.stderr, warnings
        self._total, self._failed = len(jobs), 0
        self._begun: dict[int, float] = {}
        self.took: dict[int, float] = {}  # seconds of each finished job, by its number
        self._shown, self._last = (0, time.monotonic()), ""
        self._handler = next((each for each in logger.handlers if each.name == HANDLER), None)
        self.closed = self._shows = False

    def begin(self, show: bool = True) -> bool:
        """Take the place of Snakemake's messages; False where it does not, and counts alone."""
        self._shows = show and self._handler is not None
        if self._handler is None or not show:
            logger.addHandler(self)
            return False
        self._formatter = self._handler.formatter
        self._handler.addFilter(self._passes)
        self._handler.setFormatter(_Wiping(self._formatter, self._wipe))
        logger.addHandler(self)
        self._show(time.monotonic(), first=True)
        return True

    def close(self) -> None:
        """Say how far the run came, and let everything through from now on."""
        if not self.closed:
            self.closed = True
            logger.removeHandler(self)
            if self._handler and self._shows:
                self._handler.removeFilter(self._passes)
                self._handler.setFormatter(self._formatter)
            self._wipe()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Count what has begun, finished and failed."""
        said, now = vars(record), time.monotonic()
        event = said.get("event")
        if event is LogEvent.JOB_INFO:
            self._begun[said["jobid"]] = now
        elif event is LogEvent.JOB_FINISHED:
            number = said["job_id"]
            self.took[number] = now - self._begun.pop(number, now)
            self._jobs.pop(number, None)
            for sentence in self._warnings(number):
                logger.warning(sentence)
        elif event is LogEvent.JOB_ERROR:
            self._begun.pop(said["jobid"], None)
            self._failed += 1
        else:
            return
        if self._shows and not self.closed:
            self._show(now)

    def line(self) -> str:
        """The state of the run in a line."""
        done = len(self.took)
        text = f"{self._name}: {done} of {self._total} jobs done"
        if self._failed:
            text += f", {self._failed} failed"
        known = (self._jobs[number].stage for number in self._begun if number in self._jobs)
        if running := Counter(known):
            named = (f"{n} {stage}" if n > 1 else stage for stage, n in running.items())
            text += f"; running: {', '.join(named)}"
        now = time.monotonic()
        left = self._left(self._jobs, {number: now - at for number, at in self._begun.items()})
        if left is not None and self._jobs:
            end = datetime.now() + timedelta(seconds=left)
            clock = end.strftime("%H:%M" if left < 86400 else "%a %H:%M")
            text += f"; about {format_duration(left)} left, until {clock}"
        return text

    def _show(self, now: float, first: bool = False) -> None:
        if not self._stream.isatty():
            done, since = self._shown
            due = (len(self.took) - done) * LINES >= self._total and now - since >= SECONDS
            if due or first:
                self._shown = (len(self.took), now)
                print(self.line(), file=self._stream, flush=True)
            return
        text = self.line()[: shutil.get_terminal_size().columns - 1]
        assert self._handler
        with self._handler.lock or nullcontext():  # so that no message comes between
            self._stream.write(f"{WIPE}{text}")
            self._stream.flush()
            self._last = text

    def _wipe(self) -> None:
        if self._last:
            self._stream.write(WIPE)
            self._stream.flush()
            self._last = ""

    def _passes(self, record: logging.LogRecord) -> bool:
        """Whether Snakemake may print a message."""
        event = getattr(record, "event", None)
        return event not in _OF_JOBS and not (event is None and _PLAIN.match(str(record.msg)))


class _Wiping(logging.Formatter):
    """Wipes the line before a message is printed; this is when the handler has its lock."""

    def __init__(self, formatter: logging.Formatter | None, wipe: Callable[[], None]) -> None:
        super().__init__()
        self._inner, self._before = formatter or logging.Formatter(), wipe

    def format(self, record: logging.LogRecord) -> str:
        self._before()
        return self._inner.format(record)
