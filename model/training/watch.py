"""A training that can be watched: a row now and then in a CSV file, and the same in TensorBoard.

Only what others have measured is written, and nothing is read by a training but its own rows when
it resumes: this module cannot change a network, and is in no key.
"""

import csv
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

FILE = "training.csv"
STEPS, SECONDS = 10, 2.0  # from one row to the next, at least
EVENTS = "events.out.tfevents.*"

T = TypeVar("T")


class Watch:
    """Writes the rows of one run into a folder of its own, while the run lasts.

    The columns are also the tags in TensorBoard:

    - `step`: the steps done, of an adapter the epochs
    - `loss` of this step, and `loss/<term>`, the terms with their weights, which add up to it
    - `rate`: the learning rate of this step
    - `seconds`: mean time of a step since the row before, all included
    - `waiting`: share of that time in which the next batch was waited for
    - `gpu_mb`: the most memory that tensors had on the GPU so far, in MB; empty without a GPU
    - `agreement` after this step, if it was measured: of an adapter with the pseudo-labels, of a
      network with the scene tags of the scans held out
    """

    def __init__(self, folder: Path | None, losses: Sequence[float] = ()) -> None:
        """Begin a new file, or go on with that of a run that resumes after steps of these `losses`.

        Rows of other steps, or with another loss, are not of this run's past and are dropped; if
        none is left, so are older events. Without a `folder` nothing is written.
        """
        self.folder, self._done = folder, len(losses)
        self._row, self._time, self._waited = self._done, time.perf_counter(), 0.0
        self._events: Any = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            if not _keep_past(folder / FILE, losses):
                for path in folder.glob(EVENTS):
                    path.unlink()

    def waiting(self, batches: Iterable[T]) -> Iterator[T]:
        """The batches; how long each is waited for is measured."""
        begin = time.perf_counter()
        for batch in batches:
            self._waited += time.perf_counter() - begin
            yield batch
            begin = time.perf_counter()

    def step(
        self,
        step: int,
        loss: float,
        rate: float,
        *,
        terms: Mapping[str, float] | None = None,
        agreement: float | None = None,
        last: bool = False,
    ) -> None:
        """Take the values after a step, and write a row if it is time for one.

        What has a measured agreement, and the last step, has a row whenever it comes.
        """
        elapsed = time.perf_counter() - self._time
        due = step - self._row >= STEPS and elapsed >= SECONDS
        if self.folder is None or not (due or last or agreement is not None):
            return
        gpu = torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_initialized() else None
        row = {
            "loss": loss,
            **{f"loss/{name}": value for name, value in (terms or {}).items()},
            "rate": rate,
            "seconds": round(elapsed / max(1, step - self._row), 6),
            "waiting": round(self._waited / elapsed, 4),
            "gpu_mb": gpu,
            "agreement": agreement,
        }
        _append(self.folder / FILE, {"step": step, **row})
        self._send(step, row)
        self._row, self._time, self._waited = step, time.perf_counter(), 0.0

    def _send(self, step: int, row: Mapping[str, float | None]) -> None:
        """The row as events; the first time, what writes them is loaded, which takes a moment."""
        assert self.folder is not None
        if self._events is None:
            self._events = _writer(self.folder, self._done + 1)
        if self._events:
            for tag, value in row.items():
                if value is not None:
                    self._events.add_scalar(tag, value, step)
            self._events.flush()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *error: object) -> None:
        if self._events:
            self._events.close()


def _keep_past(path: Path, losses: Sequence[float]) -> bool:
    """Keep the rows of steps that had these losses, and return whether there are any."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    header, *rows = text.split("\n")[:-1] or [""]  # a kill can cut the last line
    past = {(str(step), str(loss)) for step, loss in enumerate(losses, 1)}
    kept = [row for row in rows if tuple(row.split(",")[:2]) in past]
    if not (kept and header.startswith("step,loss,")):
        path.unlink(missing_ok=True)
        return False
    partial = path.with_suffix(".partial")
    partial.write_text("".join(f"{line}\n" for line in (header, *kept)), encoding="utf-8")
    os.replace(partial, path)
    return True


def _append(path: Path, row: Mapping[str, Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def _writer(folder: Path, first: int) -> Any:
    """What writes events from the step `first` on; False, with a sentence, if it cannot be loaded.

    Events of steps from `first` on that an earlier process has written are not shown any more.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except Exception as error:  # also of a broken installation: training goes on
        said = f"{folder}: no events for TensorBoard, which cannot be loaded ({error}): {FILE} has"
        print(f"{said} the same numbers", file=sys.stderr, flush=True)
        return False
    return SummaryWriter(str(folder), purge_step=first if first > 1 else None)
