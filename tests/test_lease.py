"""Of all processes that want an entry one makes it, and none waits for a dead one."""

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import BadInput
from pipeline.store import entry, lease, records
from pipeline.store.lease import Leases
from tests.helpers import toy_plan
from tests.helpers.toy_plan import ToyPlan

FORK = multiprocessing.get_context("fork")
ELSEWHERE = json.dumps({"machine": "another", "pid": 1, "start": "1"})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return ToyPlan(tmp_path).home("score", "a")


class Clock:
    """A clock of the waiting process that only the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The waiting process's own clock; whoever reads another one fails."""
    monkeypatch.setattr(lease, "time", None)
    return Clock()


def lease_path(home: Path) -> Path:
    """Where the lease of an entry is, in its folder."""
    path = lease.path_for(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def may_make(leases: Leases, home: Path) -> bool:
    with leases.take(home) as mine:
        return mine


def make_slowly(folder: Path, fails_first: bool) -> None:
    """Ask for the entry `a`; add a line to `makings` each time that it is made."""

    def job(name: str, path: Path) -> None:
        with open(folder / "makings", "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.2)
        if fails_first and len((folder / "makings").read_text().split()) == 1:
            raise BadInput(path, "a scan is bad", "fix it")
        toy_plan.write(path, str(os.getpid()).encode())

    code = toy_plan.run(ToyPlan(folder), "a", job)
    content = toy_plan.read(ToyPlan(folder).link("score", "a")) if code == 0 else b"failed"
    (folder / f"seen-{os.getpid()}").write_bytes(content)


@pytest.mark.parametrize("fails_first", [False, True])
def test_of_eight_processes_one_makes_an_entry_and_all_see_it(
    tmp_path: Path, fails_first: bool
) -> None:
    all_eight = [FORK.Process(target=make_slowly, args=(tmp_path, fails_first)) for _ in range(8)]
    for process in all_eight:
        process.start()
    for process in all_eight:
        process.join(30)
    makers = (tmp_path / "makings").read_text().split()
    seen = [path.read_text() for path in tmp_path.glob("seen-*")]
    if fails_first:
        assert len(makers) == 2, "another one tries, once"
        assert sorted(seen) == sorted(["failed", *makers[1:] * 7])
    else:
        assert len(makers) == 1
        assert seen == makers * 8
    home = ToyPlan(tmp_path).home("score", "a")
    assert os.listdir(lease_path(home).parent) == [], "leases were left behind"


def hold(home: Path, held: "multiprocessing.synchronize.Event") -> None:
    with Leases().take(home) as mine:
        assert mine
        held.set()
        time.sleep(60)


def test_a_killed_holder_on_this_machine_is_noticed_immediately(home: Path, clock: Clock) -> None:
    held = FORK.Event()
    holder = FORK.Process(target=hold, args=(home, held))
    holder.start()
    assert held.wait(20)
    waiting = Leases(clock=clock)
    assert not any(may_make(waiting, home) for _ in range(5))
    assert holder.pid
    os.kill(holder.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60  # until the killed process is reaped
    while not lease.is_gone(lease.holder(lease_path(home).read_text())):
        assert time.monotonic() < deadline
    assert not may_make(waiting, home), "this look removes the dead lease"
    assert may_make(waiting, home), "while the clock does not move"
    holder.join()


@pytest.mark.parametrize("start", [-1e6, 0.0, 1e9])
def test_a_holder_elsewhere_is_given_up_when_its_beat_stops(
    home: Path, clock: Clock, start: float
) -> None:
    clock.now = start
    lease_path(home).write_text(f"{7:020d}\n{ELSEWHERE}")
    waiting = Leases(clock=clock)
    for _ in range(3):
        assert not may_make(waiting, home)
        clock.now += lease.PATIENCE / 3
    clock.now += 1
    assert not may_make(waiting, home), "this look removes the dead lease"
    assert may_make(waiting, home)


def test_a_holder_elsewhere_whose_beat_moves_is_waited_for(home: Path, clock: Clock) -> None:
    waiting = Leases(clock=clock)
    for beat in range(50):
        lease_path(home).write_text(f"{beat:020d}\n{ELSEWHERE}")
        os.utime(lease_path(home), (0, 0))  # as if its clock were wrong by years
        clock.now += lease.PATIENCE * 0.9
        assert not may_make(waiting, home)
    assert lease_path(home).read_text().startswith(f"{49:020d}")


def test_a_holder_beats(home: Path) -> None:
    with Leases(beat=0.01).take(home) as mine:
        assert mine
        content = lease_path(home).read_text()
        assert not lease.is_gone(lease.holder(content))
        deadline = time.monotonic() + 60
        while lease_path(home).read_text() <= content:
            assert time.monotonic() < deadline


def test_a_clock_that_runs_backwards_does_not_matter(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are the times of files looked at."""
    times = iter(range(10**9, 0, -(10**6)))
    monkeypatch.setattr(time, "time", lambda: float(next(times)))
    monkeypatch.setattr(time, "time_ns", lambda: next(times) * 10**9)
    waiting = Leases()
    with Leases().take(home) as mine:
        assert mine
        os.utime(lease_path(home), (0, 0))
        assert not may_make(waiting, home)
        os.utime(lease_path(home), (2**32, 2**32))
        assert not may_make(waiting, home)
        toy_plan.place(home, b"content")
    assert toy_plan.read(home) == b"content"
    (sha256,) = records.digests_by_entry(home.parent)[home.name]
    facts = json.loads(records.path_for(home, sha256).read_text())
    assert 0 <= facts["seconds"] < 60


def test_a_full_disk_does_not_stop_the_holder_of_a_lease(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = threading.Event()

    def full(*_: object) -> int:
        refused.set()
        raise OSError(28, "No space left on device")

    with Leases(beat=0.01).take(home) as mine:
        assert mine
        monkeypatch.setattr(os, "pwrite", full)
        assert refused.wait(10)
        toy_plan.place(home, b"content")
    entry.check(home)
    assert not lease_path(home).exists()


def test_two_processes_that_believe_a_lease_dead_make_one_entry(home: Path) -> None:
    dead = f"{7:020d}\n" + json.dumps({**json.loads(lease.process_identity()), "start": "long ago"})
    lease_path(home).write_text(dead)
    with Leases().take(home) as mine:
        assert not mine, "this look removes the dead lease"
    with Leases().take(home) as first:
        assert first
        lease.remove_dead(lease_path(home), dead)  # the other process, which had looked before
        assert lease_path(home).exists(), "the living lease was put back"
        lease_path(home).unlink()  # even if it had not been:
        with Leases().take(home) as second:
            assert second
            toy_plan.place(home, b"second")
        toy_plan.place(home, b"first")
    assert toy_plan.read(home) == b"second"
    assert os.listdir(lease_path(home).parent) == []


BROKEN: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: path.touch(),
    "no text": lambda path: path.write_bytes(b"\xff\0" * 99),
    "other text": lambda path: path.write_text(f"1\n{'[' * 100_000}"),
    "no process": lambda path: path.write_text('1\n{"machine": 1, "pid": "../..", "start": 2}'),
    "folder": lambda path: (path / "in").mkdir(parents=True),
    "link": lambda path: path.symlink_to("gone"),
    "link out": lambda path: path.symlink_to("/dev/zero"),
    "pipe": lambda path: os.mkfifo(path),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_lease_blocks_no_process_for_ever(home: Path, clock: Clock, how: str) -> None:
    BROKEN[how](lease_path(home))
    waiting = Leases(clock=clock)
    assert not may_make(waiting, home)
    clock.now += lease.PATIENCE + 1
    assert not may_make(waiting, home)
    assert may_make(waiting, home)
