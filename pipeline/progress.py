"""The progress of long work: a bar on a terminal, one plain line now and then in a log.

Jobs write to their logs through `tee`, where each state of a bar would stay, carriage return and
all.
"""

import sys
import time
from collections.abc import Collection
from typing import Any

from tqdm import tqdm

LINES = 10  # at most, and a last one at the end
SECONDS = 30.0  # from one line to the next, at least


class Progress(tqdm):
    """tqdm's bar; where stderr is no terminal, lines of the same numbers in its place."""

    def __init__(
        self,
        items: Collection[Any] | None = None,
        desc: str = "",
        total: int | None = None,
        **options: Any,
    ) -> None:
        """Count `items` as they are taken, or what `update` says of a `total`."""
        self._lines = not sys.stderr.isatty()
        self._last, self._since = options.get("initial", 0), time.monotonic()
        if self._lines:
            options |= {"ncols": 0, "leave": False, "smoothing": 0}
        super().__init__(items, desc, total, **options)
        if self._lines and 0 < self.n < (total or 0) and not self.disable:
            print(f"{desc}: goes on after {self.n} of {total}", file=self.fp, flush=True)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool | None:
        """Show the state as it is; a line only if it is time for one, or the last."""
        if not self._lines:
            shown: bool = super().display(msg, pos)
            return shown
        done, now = self.n - self._last, time.monotonic()
        due = done * LINES >= (self.total or 0) and now - self._since >= SECONDS
        if done and (due or self.disable):  # `close` disables a bar before it shows it last
            self._last, self._since = self.n, now
            print(self, file=self.fp, flush=True)
        return None


def format_duration(seconds: float) -> str:
    """A time in a unit that suits its size."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
