"""Kill runs of the whole workflow at random moments and compare the entries in the end.

    python -m tests.faults.kill --kills 100 --seed 0         the long form, some hours
    python -m tests.faults.kill --kills 6 --seed 0 --few     what tests/test_faults.py runs

A tiny checkout is run once undisturbed. A second one, with a store of its own, is killed with -9,
the same command is started again, and so on until it ends; then it starts anew with an empty store,
until there were enough kills. Moments are drawn over all stages: a stage that was killed less often
so far is chosen more often, and then a moment while a job of it runs. It is a fault if an entry
differs from the undisturbed run's by a byte, was made twice, or a run failed. With --few only the
stages that need no torch are run, which takes about a minute.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from pipeline.store import entry, records
from tests.faults import workflow
from tests.faults.workflow import FEW
from tests.helpers.tiny_checkout import Checkout

PLANNING = "planning"  # before the first job
STEPS = 260  # of training: beyond the first checkpoint, at 200
POLL = 0.02  # seconds between two looks at which jobs run
_MADE = re.compile(r"^scannet (\w+) (\S+): made in", re.M)
_STARTED_AT = re.compile(r"training: +\d+%\|[^|]*\| (\d+)/\d+ \[00:00<")


@dataclass
class Tally:
    """What happened in all runs."""

    kills: Counter[str] = field(default_factory=Counter)  # by the stage that was chosen
    hit: Counter[str] = field(default_factory=Counter)  # by stage, jobs that were killed
    cold_starts: int = 0
    runs: int = 0
    resumed: int = 0  # trainings that resumed from a checkpoint
    faults: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--few", action="store_true", help="only the stages that need no torch")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tally = run(Path(folder), given.kills, given.seed, FEW if given.few else ())
    return 1 if tally.faults else 0


def run(folder: Path, kills: int, seed: int, stages: Sequence[str] = ()) -> Tally:
    """Run tiny checkouts in `folder` until there were enough kills; prints what happened.

    `stages` as for `workflow.command`.
    """
    rng, tally, begin = np.random.default_rng(seed), Tally(), time.monotonic()
    reference = checkout(folder / "undisturbed")
    command = workflow.command(reference, stages)
    usual = undisturbed(reference, command)
    wanted = reference.entries()
    print(f"undisturbed: {len(wanted)} entries in {time.monotonic() - begin:.0f} s", flush=True)
    victim = checkout(folder / "killed")
    while tally.kills.total() < kills:
        cold_start(victim, command, usual, wanted, kills, rng, tally)
        print(f"{tally.kills.total()} kills, {tally.cold_starts} cold starts", flush=True)
    print(f"kills by chosen stage: {dict(tally.kills)}")
    print(f"killed jobs by stage: {dict(tally.hit)}")
    print(f"{tally.runs} runs; {tally.resumed} trainings resumed from a checkpoint")
    print(f"{time.monotonic() - begin:.0f} s; faults: {tally.faults or 'none'}")
    return tally


def checkout(folder: Path) -> Checkout:
    """A tiny checkout whose training is long enough to write a checkpoint."""
    made = Checkout(folder)
    config = yaml.safe_load(made.config.read_text())
    config["scannet"]["train"]["optimiser"]["steps"] = STEPS
    config["scannet"]["train"]["self_training"] = {"rounds": 1}
    made.config.write_text(yaml.safe_dump(config))
    return made


def undisturbed(tree: Checkout, command: list[str]) -> dict[str, float]:
    """Run a checkout to its end; stage -> seconds of its longest job."""
    process, log = start(tree, command)
    begin, first = time.monotonic(), None
    seen: dict[int, tuple[str, float, float]] = {}
    while process.poll() is None:
        now = time.monotonic()
        for pid, stage in jobs(process.pid).items():
            seen[pid] = (stage, seen.get(pid, (stage, now, now))[1], now)
            first = first or now
        time.sleep(POLL)
    assert process.returncode == 0, log.read_text()
    usual = {PLANNING: (first or begin) - begin}
    for stage, since, until in seen.values():
        usual[stage] = max(usual.get(stage, POLL), until - since)
    return usual


def cold_start(
    tree: Checkout,
    command: list[str],
    usual: dict[str, float],
    wanted: dict[str, bytes],
    kills: int,
    rng: np.random.Generator,
    tally: Tally,
) -> None:
    """Run a checkout from an empty store to its end, killing it at random moments."""
    tally.cold_starts += 1
    for left in ("store", "work", "results", "logs", "benchmarks", ".snakemake"):
        shutil.rmtree(tree.folder / left, ignore_errors=True)
    made: Counter[tuple[str, ...]] = Counter()
    ended = False
    while not ended:
        process, log = start(tree, command)
        tally.runs += 1
        if tally.kills.total() < kills:
            missing = {name.split("/")[1] for name in wanted.keys() - tree.entries().keys()}
            stages = [PLANNING, *sorted((missing | {"report"}) & usual.keys())]
            weights = np.array([1 / (1 + tally.kills[stage]) for stage in stages])
            chosen = str(rng.choice(stages, p=weights / weights.sum()))
            ended = not kill(process, chosen, rng.uniform(0, 1.2) * usual[chosen], tally)
        else:
            ended = process.wait() is not None
        output = log.read_text(errors="replace")
        made.update(_MADE.findall(output))
        tally.resumed += sum(int(step) > 0 for step in _STARTED_AT.findall(output))
        if ended and process.returncode != 0:
            tally.faults.append(f"a run ended with {process.returncode}: {output[-2000:]}")
        check_whole(tree, tally)
    tally.faults += [f"{name} was made {n} times" for name, n in made.items() if n > 1]
    entries = tree.entries()
    for name in sorted(wanted.keys() | entries.keys()):
        if wanted.get(name) != entries.get(name):
            tally.faults.append(f"{name} is not as in the undisturbed run")


def kill(process: subprocess.Popen[bytes], chosen: str, wait: float, tally: Tally) -> bool:
    """Kill all processes of a run `wait` seconds after a stage began; False if it ended before."""
    while chosen != PLANNING and chosen not in jobs(process.pid).values():
        if process.poll() is not None:
            return False
        time.sleep(POLL)
    time.sleep(wait)
    hit, family = jobs(process.pid), descendants(process.pid)
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    for pid in family:  # those that left the group
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()
    tally.kills[chosen] += 1
    tally.hit.update(hit.values() or [PLANNING])
    return True


def check_whole(tree: Checkout, tally: Tally) -> None:
    """Record a fault for each present entry that is not whole."""
    for name in tree.entries():
        home = tree.folder / "store" / name
        try:
            entry.check_bytes(home)
            records.check(home)
        except entry.Damaged as error:
            tally.faults.append(str(error))


def start(tree: Checkout, command: list[str]) -> tuple[subprocess.Popen[bytes], Path]:
    """A command in its own process group, and the file of its output."""
    log = tree.folder / "output.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=tree.folder, stdout=file, stderr=file, start_new_session=True
        )
    return process, log


def jobs(root: int) -> dict[int, str]:
    """Process id -> stage of all running jobs of a run."""
    found = {}
    for pid in descendants(root):
        words = _read(pid, "cmdline").split(b"\0")
        if words[1:3] == [b"-m", b"pipeline"]:
            found[pid] = words[3].decode()
    return found


def descendants(root: int) -> set[int]:
    """All processes that a process started, directly or not."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _read(int(name), "stat").rpartition(b")")[2].split()
            if fields:
                children.setdefault(int(fields[1]), []).append(int(name))
    found: set[int] = set()
    todo = [root]
    while todo:
        new = children.get(todo.pop(), [])
        found.update(new)
        todo += new
    return found


def _read(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:  # it has just ended
        return b""


if __name__ == "__main__":
    sys.exit(main())
