"""Jobs on other machines: what they ask for, find and read, and how a training there is stopped."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.training import loop
from model.training.checkpoint import Checkpoint
from model.training.loop import OptimiserConfig
from pipeline.cli.stages import TRY_AGAIN, make_all
from pipeline.errors import Stopped
from pipeline.plan import machine
from tests.helpers.tiny_checkout import Checkout
from tests.helpers.tiny_entries import train_tiny, write_rooms, write_text

STAGE = "scannet_voxels"  # needs no torch


class Voxels(Checkout):
    target = STAGE


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout after a run from a shell in which its environment was not activated."""
    tree = Voxels(tmp_path_factory.mktemp("checkout") / "tree")
    command = [str(Path(sys.executable).with_name("snakemake")), STAGE, "--cores", "1"]
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(tree.folder)}
    done = subprocess.run(command, cwd=tree.folder, env=bare, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return tree


def test_jobs_find_the_python_of_an_environment_that_is_not_activated(checkout: Checkout) -> None:
    assert len(checkout.entries()) == 3


def test_a_job_on_a_node_reads_the_plan_and_looks_at_no_raw_file(checkout: Checkout) -> None:
    plan = checkout.folder / "work/scannet/plan.json"
    before = plan.read_bytes()
    checkout.raw.rename(checkout.folder / "away")
    on_a_node = ["--mode", "remote", "--target-jobs", f"{STAGE}_0:", "--allowed-rules"]
    on_a_node += [f"{STAGE}_0", "--force", "--nolock", "--no-hooks", "--ignore-incomplete"]
    command = [sys.executable, "-m", "snakemake", *on_a_node, "--cores", "1"]
    try:
        done = subprocess.run(command, cwd=checkout.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert plan.read_bytes() == before
        plan.rename(plan.with_suffix(".away"))
        done = subprocess.run(command, cwd=checkout.folder, capture_output=True, text=True)
        assert done.returncode == 1
        assert "plan.json: cannot be read as a plan" in done.stdout + done.stderr
    finally:
        (checkout.folder / "away").rename(checkout.raw)


@given(st.integers(1, 10**5), st.integers(1, 10**5), st.integers(1, 4))
def test_each_try_asks_for_more_memory_and_none_for_more_than_half_a_day(
    memory: int, minutes: int, attempt: int
) -> None:
    found = machine.resources_of(memory, minutes)
    grown = found["mem_mb"]
    assert callable(grown)
    assert grown(None, attempt=attempt) == memory * attempt
    assert found["runtime"] == min(minutes, 720)


@pytest.mark.parametrize(
    ("sinfo", "asked"),
    [("echo '(null)'", False), ("echo gpu:a100:4", True), ("exit 1", True), (None, True)],
)
def test_a_gpu_is_asked_for_unless_the_cluster_has_none(
    sinfo: str | None, asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sinfo:
        program = tmp_path / "sinfo"
        program.write_text(f"#!/bin/sh\n{sinfo}\n")
        program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "own_gpus", lambda: 0)
    machine._cluster_without_gpus.cache_clear()
    found = machine.resources_of(1, 1, gpus=1)
    machine._cluster_without_gpus.cache_clear()
    assert ("gpu" in found) == asked
    assert "gpu" not in machine.resources_of(1, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_a_training_after_its_step_and_it_goes_on_from_there(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms, text = write_rooms(tmp_path, range(2)), write_text(tmp_path)
    whole = train_tiny("esgs", rooms, text, tmp_path / "whole", steps=6)
    rate, steps, handler = OptimiserConfig.rate, [], signal.getsignal(number)

    def signalled(self: OptimiserConfig, step: int) -> float:
        if step == 3 and step not in steps:
            os.kill(os.getpid(), number)
        steps.append(step)
        return rate(self, step)

    monkeypatch.setattr(OptimiserConfig, "rate", signalled)
    with pytest.raises(Stopped, match="stopped after step 4 of 6"):
        train_tiny("esgs", rooms, text, tmp_path / "stopped", steps=6)
    assert signal.getsignal(number) is handler
    again = train_tiny("esgs", rooms, text, tmp_path / "stopped", steps=6)
    assert steps == [0, 1, 2, 3, 4, 5]
    assert again.read_bytes() == whole.read_bytes()


def test_the_state_of_slow_steps_is_kept_by_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Path] = []
    save = Checkpoint.save

    def noted(checkpoint: Checkpoint) -> None:
        save(checkpoint)
        saved.append(checkpoint.path)

    monkeypatch.setattr(Checkpoint, "save", noted)
    rooms, text = write_rooms(tmp_path, range(2)), write_text(tmp_path)
    train_tiny("esgs", rooms, text, tmp_path / "quick", steps=4)
    assert saved == []
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    train_tiny("esgs", rooms, text, tmp_path / "slow", steps=4)
    assert [path.name for path in saved] == ["checkpoint.safetensors"] * 3


def test_a_stopped_job_has_an_exit_code_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[str] = []

    def run(link: Path) -> str:
        done.append(link.name)
        raise Stopped("stopped after step 3 of 9, which is kept")

    assert make_all(run, "demo train", [Path("a"), Path("b")]) == TRY_AGAIN == 75
    assert done == ["a"]
    assert capsys.readouterr().err == "demo train a: stopped after step 3 of 9, which is kept\n"
