"""What each of two processes does in the tests of training together, started by torchrun.

Each writes into a folder of its own what the first process alone would write.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model.data.augment import Augmentation
from model.data.dataset import read_batches
from model.data.entries import read_array, read_entry
from model.network import files
from model.network.trained import build_network
from model.training import ranks
from model.training.loop import OptimiserConfig, Outputs
from model.training.objective import Objective, loss_config
from pipeline.errors import BadInput, Stopped
from pipeline.store import arrays, groups
from tests.helpers.tiny_entries import (
    CLASSES,
    GENTLE,
    PLAIN_ADAM,
    SMALL_NETWORK,
    WIDTH,
    Room,
    loss_terms,
    text_embeddings,
    tiny_params,
    train_with,
    write_rooms,
    write_text,
)

STEPS = 3
LABELS = ("open", "label", "confidence")
LOSS: dict[str, Any] = {"balance": True, "cosine": 1.0, "text": 1.0}
LOSS |= {"absent": 0.5, "presence": 0.3, "pooled": 0.2, "superpoint": 0.4}
# A batch of three has two scans for one process and one for the other.
SETTINGS = tiny_params(STEPS) | {
    "loss": LOSS,
    "optimiser": PLAIN_ADAM | {"steps": STEPS, "batch": 3, "lr": 1e-3, "clip": 1.0},
    "adapter": {"preset": "normalised", "epochs": 3, "batch": 3},
    "selection": {"held_out": 0.4, "every": 3},
}


def rooms_in(folder: Path) -> list[Room]:
    """Five rooms."""
    return write_rooms(folder, range(5))


def half_empty(folder: Path) -> list[Room]:
    """Two rooms, one of which no camera has seen."""
    folder.mkdir()
    seen, unseen = write_rooms(folder, range(2))
    for stage, names in {"targets": ("voxel", "feature", "views"), "pseudo_labels": LABELS}.items():
        known = read_entry(unseen.path(stage))
        attributes = dict(known.attrs)
        found = {n: read_array(known, n)[:0] for n in names}
        unseen.path(stage).unlink()
        with groups.create(unseen.path(stage), attributes) as out:
            for name, values in found.items():
                arrays.write(out, name, values, compress=name != "feature")
    return [seen, unseen]


def train(variant: str, rooms: list[Room], text: Path, out: Path, **options: Any) -> Path:
    """One network, in the settings of these tests."""
    settings = SETTINGS | options.pop("settings", {})
    return train_with(settings, variant, rooms, text, out, **options)


def gradients(rooms: list[Room], balance: bool, frozen: bool) -> dict[str, torch.Tensor]:
    """Of all weights after one batch of four scans, of which each process has its part."""
    (batch,) = read_batches(
        [room.weak for room in rooms],
        seed=0,
        batch=4,
        steps=range(1),
        augmentation=Augmentation(**GENTLE),
        part=(ranks.number(), ranks.count()),
    )
    text = torch.from_numpy(text_embeddings())
    section = LOSS | {"balance": balance}
    counts = torch.arange(10, 10 + len(CLASSES)).numpy()
    objective = Objective(loss_config(section), loss_terms(section), text, counts)
    network = build_network(WIDTH, SMALL_NETWORK, 0).train()
    outputs = ranks.together(
        Outputs(network, lambda output, batch: objective(output, batch.feature, batch)), network
    )
    outputs.train(not frozen)
    terms = ranks.shares(*outputs(batch))
    loss = torch.stack([*terms.values()]).sum()
    (loss * ranks.count()).backward()
    found = {name: weight.grad for name, weight in network.named_parameters()}
    value, _ = ranks.measured(loss, terms)
    return {n: g for n, g in found.items() if g is not None} | {"loss": torch.tensor(value)}


def stopped_at(step: int, with_: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """Send this process a signal in a step; gives what takes that back."""
    rate = OptimiserConfig.rate

    def signalled(self: OptimiserConfig, number: int) -> float:
        if number == step:
            os.kill(os.getpid(), with_)
        return rate(self, number)

    OptimiserConfig.rate = signalled  # type: ignore[method-assign, assignment]

    def back() -> None:
        OptimiserConfig.rate = rate  # type: ignore[method-assign]

    return back


def killed(folder: Path) -> None:
    """A training of which the second process is killed in its last step."""
    own = folder / f"rank{ranks.number()}"
    own.mkdir()
    if ranks.number() == 1:
        stopped_at(STEPS - 1, signal.SIGKILL)
    train("esgs", rooms_in(own), write_text(own), own / "killed", checkpoint_every=1)


def main(folder: Path) -> None:
    """Everything, one thing after another."""
    number = ranks.number()
    own = folder / f"rank{number}"
    own.mkdir()
    ranks.first = lambda: True  # each writes all it would write, into its own folder
    rooms, text = rooms_in(own), write_text(own)
    for variant in ("ess_esgs", "supervised"):
        train(variant, rooms, text, own / variant)
    for frozen in (False, True):
        found = gradients(rooms, balance=frozen, frozen=frozen)
        files.write(own / f"gradients_{frozen}.safetensors", found, {})
    train("esgs", half_empty(own / "half"), text, own / "half_empty", settings=HALF)

    back = stopped_at(1) if number == 1 else lambda: None  # one of them only
    try:
        train("esgs", rooms, text, own / "stopped")
    except Stopped as stopped:
        (own / "stopped.txt").write_text(str(stopped))
    back()
    # What one process has begun.
    scratch = own / "begun.scratch"
    scratch.mkdir()
    name = "checkpoint.safetensors"
    (scratch / name).write_bytes((folder / name).read_bytes())
    train("esgs", rooms, text, own / "begun")
    one = {"optimiser": SETTINGS["optimiser"] | {"batch": 1}}
    try:
        train("esgs", rooms, text, own / "one", settings=one)
    except BadInput as error:
        (own / "refused.txt").write_text(str(error))


HALF: dict[str, Any] = {
    "optimiser": SETTINGS["optimiser"] | {"batch": 2, "steps": 2},
    "selection": {"held_out": 0.0},
    "loss": {"balance": False, "cosine": 1.0},
}

if __name__ == "__main__":
    with ranks.joined():
        torch.set_num_threads(1)
        {"main": main, "killed": killed}[sys.argv[1]](Path(sys.argv[2]))
