"""Two processes train a network together as one process would alone; they meet by gloo."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from model.network import files
from pipeline.errors import Stopped
from tests.helpers import two_ranks
from tests.helpers.tiny_entries import Room, write_text

CHECKPOINT = "checkpoint.safetensors"
# Sums in another order differ in the last bits, which a few steps let grow.
CLOSE = 2e-3

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="two processes without GPUs")


@dataclass(frozen=True)
class Tried:
    """What one process has written, and two others."""

    one: Path
    both: tuple[Path, Path]
    rooms: list[Room]
    text: Path

    def train(self, variant: str, name: str) -> Path:
        """One network by one process, once."""
        path = self.one / f"{name}.safetensors"
        if path.exists():
            return path
        return two_ranks.train(variant, self.rooms, self.text, self.one / name)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    folder = tmp_path_factory.mktemp("ranks")
    one = folder / "one"
    one.mkdir()
    rooms, text = two_ranks.rooms_in(one), write_text(one)
    undo = two_ranks.stopped_at(0)
    with pytest.raises(Stopped, match="after step 1 of 3"):
        two_ranks.train("esgs", rooms, text, one / "begun")
    undo()
    shutil.copy(one / "begun.scratch" / CHECKPOINT, folder / CHECKPOINT)
    done = torchrun("main", folder)
    assert done.returncode == 0, done.stderr
    return Tried(one, (folder / "rank0", folder / "rank1"), rooms, text)


def torchrun(what: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Two processes that do what the helper calls so."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*start, "-m", "tests.helpers.two_ranks", what, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def losses(path: Path, name: str = "network") -> list[float]:
    return json.loads(files.read(path)[1]["curves"])[name]["loss"]


def test_all_processes_have_the_same_weights(tried: Tried) -> None:
    first, second = tried.both
    for name in ("ess_esgs", "ess_esgs.adapter", "supervised", "half_empty", "begun"):
        path = f"{name}.safetensors"
        assert (first / path).read_bytes() == (second / path).read_bytes(), name


@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_are_those_of_one_process_with_the_same_batch(tried: Tried, frozen: bool) -> None:
    """With frozen statistics of the norms, and with those of the whole batch."""
    alone = two_ranks.gradients(tried.rooms, balance=frozen, frozen=frozen)
    found, _ = files.read(tried.both[0] / f"gradients_{frozen}.safetensors")
    assert found.keys() == alone.keys()
    for name, gradient in alone.items():
        most = float(gradient.abs().max())
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-4 * most, msg=name)


@pytest.mark.parametrize("variant", ["ess_esgs", "supervised"])
def test_losses_are_those_of_one_process(tried: Tried, variant: str) -> None:
    alone, together = tried.train(variant, variant), tried.both[0] / f"{variant}.safetensors"
    assert len(losses(together)) == two_ranks.STEPS
    assert losses(together) == pytest.approx(losses(alone), rel=CLOSE)
    assert losses(together) != losses(alone), "two processes did not share the work"
    curves = [json.loads(files.read(path)[1]["curves"]) for path in (alone, together)]
    terms = [curve["terms"] for curve in curves]
    for name in terms[0]:
        assert terms[1][name] == pytest.approx(terms[0][name], rel=2e-2), name
    if variant == "ess_esgs":
        assert curves[1]["selection"]["step"] == curves[0]["selection"]["step"] == [3]
        assert losses(together, "adapter") == pytest.approx(losses(alone, "adapter"), rel=1e-4)
        agreed = [curve["adapter"]["agreement"] for curve in curves]
        assert agreed[1] == pytest.approx(agreed[0], abs=0.01)


def test_a_process_without_targets_holds_nobody_up(tried: Tried) -> None:
    rooms = two_ranks.half_empty(tried.one / "half")
    settings = two_ranks.HALF
    alone = two_ranks.train("esgs", rooms, tried.text, tried.one / "half", settings=settings)
    found = losses(tried.both[0] / "half_empty.safetensors")
    assert found == pytest.approx(losses(alone), rel=CLOSE)


def test_a_signal_to_one_process_stops_both_and_one_goes_on(tried: Tried) -> None:
    for folder in tried.both:
        said = (folder / "stopped.txt").read_text()
        assert said == "stopped after step 2 of 3, which is kept"
    shutil.copytree(tried.both[0] / "stopped.scratch", tried.one / "stopped.scratch")
    kept, _ = files.read(tried.one / "stopped.scratch" / CHECKPOINT)
    found = losses(tried.train("esgs", "stopped"))
    assert found[:2] == kept["losses"].tolist()
    assert found == pytest.approx(losses(tried.train("esgs", "whole")), rel=CLOSE)


def test_two_processes_go_on_from_what_one_has_begun(tried: Tried) -> None:
    kept, _ = files.read(tried.one / "begun.scratch" / CHECKPOINT)
    found = losses(tried.both[0] / "begun.safetensors")
    assert found[:1] == kept["losses"].tolist()
    assert found == pytest.approx(losses(tried.train("esgs", "whole")), rel=CLOSE)


def test_one_process_goes_on_where_one_of_two_was_killed(tried: Tried, tmp_path: Path) -> None:
    """With -9, in the last step: all before it is kept, and the other process does not hang."""
    assert torchrun("killed", tmp_path).returncode != 0
    shutil.copytree(tmp_path / "rank0" / "killed.scratch", tried.one / "killed.scratch")
    kept, _ = files.read(tried.one / "killed.scratch" / CHECKPOINT)
    assert len(kept["losses"]) == two_ranks.STEPS - 1
    found = losses(tried.train("esgs", "killed"))
    assert found[:-1] == kept["losses"].tolist()
    assert found == pytest.approx(losses(tried.train("esgs", "whole")), rel=CLOSE)


def test_a_batch_with_fewer_scans_than_processes_is_refused(tried: Tried) -> None:
    said = (tried.both[1] / "refused.txt").read_text()
    assert "a batch of 1 has no part for each of 2 GPUs; set `gpus` to fewer" in said
