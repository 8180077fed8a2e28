"""A training that is requeued after a checkpoint: it has to go on from there, in the same job."""

import csv
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open

from tests.cluster.watched import Jobs, Logs, Made

Row = dict[str, str]


def rows(work: Path, training: Made) -> list[Row]:
    """What a training has written of its steps. A step that is taken again takes other seconds."""
    for path in work.glob(f"training/{training[0]}/{training[1]}-*/training.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            return [row for row in csv.DictReader(file) if row["agreement"] is not None]
    return []


def checkpoint(work: Path, training: Made) -> Path | None:
    """The state that a training has written, if it has."""
    return next(work.glob(f"scratch/{training[0]}/{training[1]}-*/checkpoint.safetensors"), None)


def steps(state: Path) -> int:
    """The steps that were done in a state."""
    with safe_open(state, "pt") as file:
        return int(file.get_slice("losses").get_shape()[0])


@dataclass(frozen=True)
class Requeued:
    """A training as it was when its job had been requeued, and was not started again yet."""

    job: str
    training: Made
    others: set[str]  # the jobs of the same training until then
    seen: int  # the last step that it had told of
    kept: int  # the steps in its checkpoint
    before: list[Row]  # what it told of those

    def went_on(self, work: Path) -> bool:
        """Whether it has told of later steps."""
        now = rows(work, self.training)
        return bool(now) and int(now[-1]["step"]) > self.kept

    def faults(self, jobs: Jobs, logs: Logs, work: Path) -> list[str]:
        """What is wrong with it, in sentences."""
        name, now = " ".join(self.training), rows(work, self.training)
        said = []
        if not jobs.restarts(self.job):
            said.append("its job was not started again")
        if not self.went_on(work):
            said.append("it did not go on")
        if f"training: goes on after {self.kept} of" not in logs.said(*self.training):
            said.append(f"its log does not say that it goes on after {self.kept} steps")
        if [row for row in now if int(row["step"]) <= self.kept] != self.before:
            said.append(f"it took some of its first {self.kept} steps again")
        if self.kept < self.seen:
            said.append(f"steps {self.kept + 1} to {self.seen} were lost when it was stopped")
        return [f"{name} was requeued: {each}" for each in said]


def find(jobs: Jobs, work: Path) -> tuple[str, Made] | None:
    """A training that has a checkpoint and is in the middle of its steps, and its job."""
    for job, training in jobs.trainings().items():
        state = checkpoint(work, training)
        if jobs.state(job) != "RUNNING" or state is None or not (told := rows(work, training)):
            continue
        logs = work.glob(f"training/{training[0]}/{training[1]}-*/training.csv")
        in_steps = max(path.stat().st_mtime for path in logs) > jobs.begun(job)
        if in_steps and int(told[-1]["step"]) >= steps(state):
            return job, training
    return None


def requeue(job: str, training: Made, jobs: Jobs, work: Path) -> Requeued | None:
    """Requeue a job, and look at what it has left; None where it had ended of itself by then."""
    command = ["scontrol", "requeue", job]
    if subprocess.run(command, env=jobs.slurm).returncode:
        return None
    wait(lambda: jobs.state(job) == "PENDING", jobs.look, 90)
    told, state = rows(work, training), checkpoint(work, training)
    if state is None:  # a network that was complete before the signal came has none
        return None
    kept = steps(state)
    same = {other for other, each in jobs.trainings().items() if each == training}
    before = [row for row in told if int(row["step"]) <= kept]
    return Requeued(job, training, same, int(told[-1]["step"]), kept, before)


def wait(until: Callable[[], bool], look: Callable[[], None], seconds: float) -> bool:
    """Look once a second until something is so; False where it was not in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        look()
        if until():
            return True
        time.sleep(1)
    return False
