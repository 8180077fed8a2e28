"""Kill runs of the whole workflow at random moments and compare what comes out in the end.

    python tests/faults/kill.py --kills 100 --seed 0

A tiny checkout is run once undisturbed. A second one, on a store of its own, is killed with -9, the
plain command is typed again, and so on until it ends; then it begins anew, cold, until there were
enough kills. Moments are drawn over all stages: a stage that was killed less often so far is aimed
at more often, and then a moment while a job of it runs. Ends with 1 where an entry differs from the
undisturbed run's by a byte, was made twice, or a run failed.
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
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pipeline.store import entry, records  # noqa: E402
from tests.helpers.tiny_checkout import Checkout  # noqa: E402

PLANNING = "planning"  # before the first job
STEPS = 260  # of training: beyond the first checkpoint, at 200
LOOK = 0.02  # seconds between two looks at what runs
_MADE = re.compile(r"^scannet (\w+) (\S+): made in", re.M)
_BEGUN_AT = re.compile(r"training: +\d+%\|[^|]*\| (\d+)/\d+ \[00:00<")


@dataclass
class Tally:
    """What happened in all runs."""

    kills: Counter[str] = field(default_factory=Counter)  # by the stage aimed at
    hit: Counter[str] = field(default_factory=Counter)  # by stage, jobs that ran when killed
    starts: int = 0
    runs: int = 0
    resumed: int = 0  # trainings that went on from a checkpoint
    faults: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, tally, begin = np.random.default_rng(given.seed), Tally(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        reference = checkout(Path(folder, "undisturbed"))
        usual = undisturbed(reference)
        wanted = reference.entries()
        print(f"undisturbed: {len(wanted)} entries in {time.monotonic() - begin:.0f} s", flush=True)
        victim = checkout(Path(folder, "killed"))
        while sum(tally.kills.values()) < given.kills:
            cold_start(victim, usual, wanted, given.kills, rng, tally)
            print(f"{sum(tally.kills.values())} kills, {tally.starts} cold starts", flush=True)
    print(f"kills by stage aimed at: {dict(tally.kills)}")
    print(f"jobs hit by stage: {dict(tally.hit)}")
    print(f"{tally.runs} runs; {tally.resumed} trainings resumed from a checkpoint")
    print(f"{time.monotonic() - begin:.0f} s; faults: {tally.faults or 'none'}")
    return 1 if tally.faults else 0


def checkout(folder: Path) -> Checkout:
    """A tiny checkout whose training is long enough to leave a checkpoint."""
    made = Checkout(folder)
    config = yaml.safe_load(made.config.read_text())
    config["scannet"]["train"]["optimiser"]["steps"] = STEPS
    made.config.write_text(yaml.safe_dump(config))
    return made


def undisturbed(tree: Checkout) -> dict[str, float]:
    """Run a checkout to its end; stage -> seconds that its longest job took."""
    process, log = start(tree)
    begin, first = time.monotonic(), None
    seen: dict[int, tuple[str, float, float]] = {}
    while process.poll() is None:
        now = time.monotonic()
        for pid, stage in jobs(process.pid).items():
            seen[pid] = (stage, seen.get(pid, (stage, now, now))[1], now)
            first = first or now
        time.sleep(LOOK)
    assert process.returncode == 0, log.read_text()
    usual = {PLANNING: (first or begin) - begin}
    for stage, since, until in seen.values():
        usual[stage] = max(usual.get(stage, LOOK), until - since)
    return usual


def cold_start(
    tree: Checkout,
    usual: dict[str, float],
    wanted: dict[str, bytes],
    kills: int,
    rng: np.random.Generator,
    tally: Tally,
) -> None:
    """Run a checkout from nothing to its end, killing it now and then."""
    tally.starts += 1
    for left in ("store", "work", "results", "logs", "benchmarks", ".snakemake"):
        shutil.rmtree(tree.folder / left, ignore_errors=True)
    made: Counter[tuple[str, ...]] = Counter()
    ended = False
    while not ended:
        process, log = start(tree)
        tally.runs += 1
        if sum(tally.kills.values()) < kills:
            missing = {name.split("/")[1] for name in wanted.keys() - tree.entries().keys()}
            aims = [PLANNING, "report", *sorted(missing & usual.keys())]
            weights = np.array([1 / (1 + tally.kills[stage]) for stage in aims])
            aim = str(rng.choice(aims, p=weights / weights.sum()))
            ended = not kill(process, aim, rng.uniform(0, 1.2) * usual[aim], tally)
        else:
            ended = process.wait() is not None
        said = log.read_text(errors="replace")
        made.update(_MADE.findall(said))
        tally.resumed += sum(int(step) > 0 for step in _BEGUN_AT.findall(said))
        if ended and process.returncode != 0:
            tally.faults.append(f"a run ended with {process.returncode}: {said[-2000:]}")
        check_whole(tree, tally)
    tally.faults += [f"{name} was made {n} times" for name, n in made.items() if n > 1]
    entries = tree.entries()
    for name in sorted(wanted.keys() | entries.keys()):
        if wanted.get(name) != entries.get(name):
            tally.faults.append(f"{name} is not as in the undisturbed run")


def kill(process: subprocess.Popen[bytes], aim: str, wait: float, tally: Tally) -> bool:
    """Kill a run `wait` seconds after a stage began, all at once; False where it ended before."""
    while aim != PLANNING and aim not in jobs(process.pid).values():
        if process.poll() is not None:
            return False
        time.sleep(LOOK)
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
    tally.kills[aim] += 1
    tally.hit.update(hit.values() or [PLANNING])
    return True


def check_whole(tree: Checkout, tally: Tally) -> None:
    """Every entry that is there must be whole, also just after a kill."""
    for name in tree.entries():
        home = tree.folder / "store" / name
        try:
            entry.check_bytes(home)
            records.check(home)
        except entry.Damaged as error:
            tally.faults.append(str(error))


def start(tree: Checkout) -> tuple[subprocess.Popen[bytes], Path]:
    """The plain command in its own process group, and where it says what it does."""
    log = tree.folder / "said.txt"
    command = [sys.executable, "-m", "snakemake", "train_scannet", "--cores", "2"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=tree.folder, stdout=file, stderr=file, start_new_session=True
        )
    return process, log


def jobs(root: int) -> dict[int, str]:
    """Process id -> stage, of all jobs that a run has at work."""
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
