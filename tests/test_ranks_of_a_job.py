"""A job of several GPUs: the processes that it starts, stops and ends with, and its own GPUs."""

import csv
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from model.network import files
from model.training import ranks as together
from model.training.stop import SIGNALS
from pipeline.errors import BadInput, Stopped
from pipeline.facts import Facts
from pipeline.jobs import entries, gpus, rank, ranks
from pipeline.plan import machine, rules
from pipeline.plan.plan import Plan
from pipeline.store import arrays, groups, publish
from tests.helpers import tiny_store
from tests.helpers.tiny_entries import tiny_params, write_rooms, write_text

RUN = "esgs-0"
LATER = 60.0  # seconds; after them a test fails

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="two processes without GPUs")


def plan_of(folder: Path, **section: Any) -> Plan:
    """A plan of three toy rooms to train on, on a store of its own."""
    rooms = write_rooms(folder, range(3))
    known = tiny_store.facts(folder / "store", [room.scan for room in rooms], work=f"{folder}/work")
    known["section"] |= {"workers": 0} | section
    plan = Plan(Facts.from_json(known))
    for room in rooms:
        for stage in ("voxels", "targets", "pseudo_labels", "tags"):
            _store(plan, stage, room.scan, room.path(stage))
    _store(plan, "text", "classes", write_text(folder))
    plan.write()
    return plan


def _store(plan: Plan, stage: str, name: str, made: Path) -> None:
    known = groups.read(made)
    with (
        publish.place(plan.home(stage, name), plan.recipe(stage)) as path,
        groups.create(path, dict(known.attrs)) as out,
    ):
        for array in known.array_keys():
            arrays.write(out, array, known[array][:], compress=array != "feature")  # type: ignore[index, arg-type]


def train_section(steps: int) -> dict[str, Any]:
    found = tiny_params(steps) | {"variants": ["esgs"], "seeds": [0]}
    return {"train": found}


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `srun` that starts a command twice here, in the place of two nodes; gives its words."""
    said = tmp_path / "srun.txt"
    program = tmp_path / "bin" / "srun"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nwhile case "$1" in --*) true;; *) false;; esac; do echo "$1" >> {said}; shift;'
        ' done\n"$@" & first=$!\n"$@"; second=$?\nwait $first && exit $second\n'
    )
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", str(os.getpid()))
    return said


@no_gpu
def test_two_nodes_of_slurm_train_one_network(slurm: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, **train_section(3), nodes=2)
    link = plan.link("train", RUN)
    assert entries.maker("train", plan)(link) == "made"
    _, metadata = files.read(link)
    assert metadata["entry"].startswith("train/")
    assert (metadata["variant"], metadata["trained_on"]) == ("esgs", "3")
    log = plan.training_log("train", RUN) / "training.csv"
    assert [row["step"] for row in csv.DictReader(log.open())] == ["3"], "one process writes"
    asked = slurm.read_text().split()
    assert asked[:3] == ["--nodes=2", "--ntasks=2", "--ntasks-per-node=1"]
    assert "--cpus-per-task=1" in asked


@pytest.mark.parametrize(
    "error",
    [
        BadInput("train", "is wrong", "set it"),
        Stopped("stopped after step 3"),
        OSError(5, "broken"),
    ],
)
def test_a_job_says_what_the_first_of_its_processes_said(error: Exception, tmp_path: Path) -> None:
    said = tmp_path / "said.json"
    ranks.say(said, error)
    ranks.say(said, RuntimeError("the other process is gone"))
    found = ranks._error(said, asked=False, code=1)
    if isinstance(error, OSError):
        assert str(found) == "OSError: 5 broken"
    else:
        assert (type(found), str(found)) == (type(error), str(error))
    assert [path.name for path in tmp_path.iterdir()] == ["said.json"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [(None, False), (Stopped("after step 3"), False), (OSError(5, "broken"), True)],
)
def test_each_process_says_why_it_ends_before_it_does(
    error: Exception | None, raised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(name: str, path: Path) -> None:
        assert (name, path) == (RUN, tmp_path / "out")
        if error:
            raise error

    plan = tiny_store.plan(tmp_path, work=str(tmp_path / "work"))
    plan.write()
    said = tmp_path / "said.json"
    monkeypatch.setattr(together, "joined", nullcontext)
    monkeypatch.setattr(entries, "load", lambda stage, plan: work)
    arguments = (plan.path, "train", RUN, tmp_path / "out", said, "")
    with pytest.raises(OSError, match="broken") if raised else nullcontext():
        assert rank.main(*arguments) == int(error is not None)
    assert said.exists() == (error is not None)
    if error:
        assert str(ranks._error(said, asked=True, code=1)).endswith(str(error.args[-1]))


def test_processes_that_say_nothing_failed_unless_they_were_stopped(tmp_path: Path) -> None:
    assert isinstance(ranks._error(tmp_path / "none", asked=True, code=1), Stopped)
    assert "exit code 9" in str(ranks._error(tmp_path / "none", asked=False, code=9))


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_job_is_passed_on_as_one_that_stops(
    number: signal.Signals, way: signal.Signals
) -> None:
    """To `torchrun` as SIGTERM, to `srun` as SIGUSR1."""
    known = {signal.SIGTERM: "TERM", signal.SIGUSR1: "USR1"}
    traps = "; ".join(f"trap 'exit {n.value}' {name}" for n, name in known.items())
    script = f"{traps}; echo ready; while :; do sleep 0.02; done"
    handler = signal.getsignal(number)
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with ranks._passing_on(process, way) as came:
            os.kill(os.getpid(), number)
            assert process.wait(LATER) == way
    assert came == [number]
    assert signal.getsignal(number) is handler


def test_a_process_ends_with_the_job_that_started_it() -> None:
    program = (
        "import subprocess, sys\n"
        "from pipeline.store import lease\n"
        "child = 'import sys; from pipeline.jobs import rank; rank._end_with(sys.argv[1])'\n"
        "command = [sys.executable, '-c', child, lease.process_identity()]\n"
        "print(subprocess.Popen(command).pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as job:
        assert job.stdout is not None
        pid = int(job.stdout.readline())
        os.kill(pid, 0)
        job.kill()
    end = time.monotonic() + LATER
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break  # whoever adopted it has not looked yet
        time.sleep(0.1)
    assert time.monotonic() < end


@pytest.mark.parametrize(
    ("shown", "names"),
    [(None, ["0", "1", "2"]), ("2,0", ["2", "0"]), ("", []), ("GPU-8f0a", ["GPU-8f0a"])],
)
def test_gpus_are_those_that_cuda_is_shown(
    shown: str | None, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.glob, "glob", lambda pattern: ["/dev/nvidia"] * 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if shown is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert machine.gpu_names() == names
    assert machine.own_gpus() == len(names)


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(machine, "gpu_names", lambda: ["0", "1", "2", "3"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    yield
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.usefixtures("four_gpus")
def test_jobs_side_by_side_use_different_gpus(tmp_path: Path) -> None:
    with gpus.taken(1, tmp_path) as first, gpus.taken(2, tmp_path) as second:
        assert (first, second) == (["0"], ["1", "2"])
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1,2"
    with gpus.taken(8, tmp_path) as every:
        assert every == ["0", "1", "2", "3"]
    with gpus.taken(0, tmp_path):
        assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.usefixtures("four_gpus")
def test_a_job_waits_for_as_many_gpus_as_it_asks_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[list[str]] = []

    def take_all() -> None:
        with ExitStack() as locks:  # beside the environment, which threads share
            done.append(gpus._take(machine.gpu_names(), 4, tmp_path, 0.01, locks))

    waiting = threading.Thread(target=take_all)
    with gpus.taken(1, tmp_path):
        waiting.start()
        time.sleep(0.2)
        assert not done
    waiting.join(LATER)
    assert done == [["0", "1", "2", "3"]]
    assert capsys.readouterr().err == "waiting until 4 of 4 GPUs are free\n"


@pytest.mark.usefixtures("four_gpus")
def test_a_job_of_slurm_uses_the_gpus_that_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with gpus.taken(2, tmp_path):
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("asked", "there", "started"), [(1, 8, 1), (4, 8, 4), (4, 2, 2), (4, 0, 1)]
)
def test_there_are_no_more_processes_than_gpus(
    asked: int, there: int, started: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tiny_store.facts(tmp_path)
    known["section"] |= {"gpus": asked, "nodes": 3, "workers": 0}
    plan = Plan(Facts.from_json(known))
    monkeypatch.setattr(machine, "gpu_names", lambda: ["0"] * there)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert ranks.processes("train", plan) == (1, started)
    assert ranks.processes("voxels", plan) == ranks.processes("embeddings", plan) == (1, 1)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert ranks.processes("train", plan) == (3, started)
    assert ranks.processes("voxels", plan) == (1, 1)


def test_a_training_asks_for_its_gpus_and_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "gpu_names", lambda: ["0"] * 8)
    found = {}
    for gpus_, nodes in ((1, 1), (4, 1), (4, 2)):
        known = tiny_store.facts(tmp_path)
        known["section"] |= {"gpus": gpus_, "nodes": nodes, "workers": 3, "threads": 2}
        plan = Plan(Facts.from_json(known))
        found[gpus_, nodes] = next(r for r in rules.rules_of_split(plan) if r.stage == "train")
    one, four, eight = found.values()
    assert (one.threads, four.threads, eight.threads) == (4, 16, 16)
    assert one.resources["gpu"] == 1
    assert (four.resources["gpu"], four.resources["tasks_per_gpu"]) == (4, 0)
    memory = [rule.resources["mem_mb"](None, attempt=1) for rule in (one, four)]  # type: ignore[operator]
    assert memory[1] == 4 * memory[0]
    asked = {n: value for n, value in eight.resources.items() if n not in ("mem_mb", "runtime")}
    on_nodes = {"nodes": 2, "tasks": 2, "mpi": "srun", "gres": "gpu:4", "tasks_per_gpu": 0}
    assert asked == on_nodes
