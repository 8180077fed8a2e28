"""Of all who want an entry one makes it, and nobody waits for the dead."""

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import BadInput
from pipeline.store import entry, lease, store
from pipeline.store.lease import Leases
from tests.helpers import toy_plan
from tests.helpers.toy_plan import ToyPlan

FORK = multiprocessing.get_context("fork")
ELSEWHERE = json.dumps({"machine": "another", "pid": 1, "start": "1"})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return ToyPlan(tmp_path).home("score", "a")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Sets the waiting process's own clock; no other one may be looked at."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def lies(home: Path) -> Path:
    """Where the lease for an entry lies, in its folder."""
    path = home.parent / lease.FOLDER / home.name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def may_make(leases: Leases, home: Path) -> bool:
    with leases.take(home) as mine:
        return mine


def make_slowly(folder: Path, fails_first: bool) -> None:
    """Want the entry `a`; leave a line in `makings` for each time that it was made."""

    def job(name: str, path: Path) -> None:
        with open(folder / "makings", "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.2)
        if fails_first and len((folder / "makings").read_text().split()) == 1:
            raise BadInput(path, "a scan is bad", "mend it")
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
    assert os.listdir(lies(home).parent) == [], "leases were left behind"


def hold(home: Path, held: "multiprocessing.synchronize.Event") -> None:
    with Leases().take(home) as mine:
        assert mine
        held.set()
        time.sleep(60)


def test_a_killed_holder_on_this_machine_is_noticed_at_once(
    home: Path, clock: SimpleNamespace
) -> None:
    held = FORK.Event()
    holder = FORK.Process(target=hold, args=(home, held))
    holder.start()
    assert held.wait(20)
    waiting = Leases()
    assert not any(may_make(waiting, home) for _ in range(5))
    assert holder.pid
    os.kill(holder.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while not lease.is_gone(lies(home).read_text().partition("\n")[2]):  # killed, if not yet buried
        assert time.monotonic() < deadline
    assert not may_make(waiting, home), "this look takes the dead lease away"
    assert may_make(waiting, home), "with the clock standing still"
    holder.join()


@pytest.mark.parametrize("start", [-1e6, 0.0, 1e9])
def test_a_holder_elsewhere_is_given_up_when_its_beat_stands_still(
    home: Path, clock: SimpleNamespace, start: float
) -> None:
    clock.now = start
    lies(home).write_text(f"{7:020d}\n{ELSEWHERE}")
    waiting = Leases()
    for _ in range(3):
        assert not may_make(waiting, home)
        clock.now += lease.PATIENCE / 3
    clock.now += 1
    assert not may_make(waiting, home), "this look takes the dead lease away"
    assert may_make(waiting, home)


def test_a_holder_elsewhere_whose_beat_moves_is_waited_for(
    home: Path, clock: SimpleNamespace
) -> None:
    waiting = Leases()
    for beat in range(50):
        lies(home).write_text(f"{beat:020d}\n{ELSEWHERE}")
        os.utime(lies(home), (0, 0))  # as if its clock were wrong by years
        clock.now += lease.PATIENCE * 0.9
        assert not may_make(waiting, home)
    assert lies(home).read_text().startswith(f"{49:020d}")


def test_a_holder_beats(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.01)
    with Leases().take(home) as mine:
        assert mine
        said = lies(home).read_text()
        assert not lease.is_gone(said.partition("\n")[2])
        deadline = time.monotonic() + 60
        while lies(home).read_text() <= said:
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
        os.utime(lies(home), (0, 0))
        assert not may_make(waiting, home)
        os.utime(lies(home), (2**32, 2**32))
        assert not may_make(waiting, home)
        toy_plan.place(home, b"content")
    assert toy_plan.read(home) == b"content"
    (facts,) = store.records(home.parent)[home.name].values()
    assert 0 <= facts["seconds"] < 60


def test_a_full_disk_does_not_stop_who_holds_a_lease(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = threading.Event()

    def full(*_: object) -> int:
        refused.set()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lease, "BEAT", 0.01)
    with Leases().take(home) as mine:
        assert mine
        monkeypatch.setattr(os, "pwrite", full)
        assert refused.wait(10)
        toy_plan.place(home, b"content")
    entry.check(home)
    assert not lies(home).exists()


def test_two_who_both_believe_a_lease_dead_end_with_one_entry(home: Path) -> None:
    dead = f"{7:020d}\n" + json.dumps({**json.loads(lease.whoami()), "start": "long ago"})
    lies(home).write_text(dead)
    with Leases().take(home) as mine:
        assert not mine, "this look takes the dead lease away"
    with Leases().take(home) as first:
        assert first
        lease._remove(lies(home), dead)  # the other one, which had looked before
        assert lies(home).exists(), "the living lease was given back"
        lies(home).unlink()  # even if it had not been:
        with Leases().take(home) as second:
            assert second
            toy_plan.place(home, b"second")
        toy_plan.place(home, b"first")
    assert toy_plan.read(home) == b"second"
    assert os.listdir(lies(home).parent) == []


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
def test_a_broken_lease_blocks_nobody_for_ever(
    home: Path, clock: SimpleNamespace, how: str
) -> None:
    BROKEN[how](lies(home))
    waiting = Leases()
    assert not may_make(waiting, home)
    clock.now += lease.PATIENCE + 1
    assert not may_make(waiting, home)
    assert may_make(waiting, home)
