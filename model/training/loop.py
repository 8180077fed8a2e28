"""The training loop of all variants: one budget, one schedule, exact resumption."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model.data.augment import Augmentation
from model.data.dataset import Batch, read_batches
from model.data.scans import Scan
from model.network.inputs import COLOR_ONLY
from model.network.unet import MinkUNet
from model.training import ranks
from model.training.checkpoint import Checkpoint, Observer
from model.training.curves import Curves
from model.training.ranks import Mean
from model.training.rows import Lazy
from model.training.stop import Due, StopSignals
from model.training.watch import Watch
from pipeline.errors import Stopped
from pipeline.progress import Progress

CHECKPOINT_SECONDS = 300.0  # after which the state is written, however few steps were taken


@dataclass(frozen=True)
class OptimiserConfig:
    """The optimiser and its schedule, the same for every variant."""

    steps: int
    batch: int = 4  # scans in a step
    name: str = "adamw"  # adam or adamw
    lr: float = 6e-3
    weight_decay: float = 0.01
    schedule: str = "cosine"  # poly (power 0.9) or cosine, to 0 at the last step
    warm_up: float = 0.1  # share of the steps in which the rate rises; the schedule has the rest
    clip: float | None = None  # largest norm of the gradient of all weights; None: any

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        rising = int(self.warm_up * self.steps)
        if step < rising:
            return self.lr * (step + 1) / (rising + 1)
        left = 1 - (step - rising) / (self.steps - rising)
        if self.schedule == "poly":
            return self.lr * left**0.9
        return self.lr * 0.5 * (1 - math.cos(math.pi * left))


@dataclass(frozen=True)
class Run:
    """One training run: what all variants share."""

    variant: str
    seed: int
    params: Mapping[str, Any]
    scans: Sequence[Scan]
    scratch: Path  # folder of checkpoints, private to this run
    workers: int  # processes that read scans; 0: this process reads
    checkpoint_every: int  # steps
    log: Path | None = None  # folder where the training can be watched, of this run alone

    @property
    def mark(self) -> str:
        """Identifies the run and its scans: a checkpoint with another mark is not resumed."""
        names = [scan.scan for scan in self.scans]
        facts = [self.variant, self.seed, dict(self.params), names]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


TermsOf = Callable[[Lazy, Batch], Mapping[str, Mean]]


class Outputs(nn.Module):
    """All that a network computes in a step of its training, as one module.

    Processes that train together average the gradients of what goes through one module, and of
    nothing else.
    """

    def __init__(self, network: MinkUNet, terms_of: TermsOf) -> None:
        super().__init__()
        self.network, self.terms_of = network, terms_of

    def forward(self, batch: Batch) -> tuple[Mapping[str, Mean], torch.Tensor]:
        """The terms of the loss, and some output (at most 1, out_channels) of the network.

        On a GPU the network computes in fp16, and the loss in float32.
        """
        with self._mixed(batch.inputs):
            rows = self.network.trunk(batch.inputs, batch.indices)[batch.row]
        output = Lazy(rows, self._head, self.network.head.out_features)
        return self.terms_of(output, batch), output[:1]

    def _head(self, rows: torch.Tensor) -> torch.Tensor:
        with self._mixed(rows):
            return self.network.head(rows)

    @staticmethod
    def _mixed(values: torch.Tensor) -> torch.autocast:
        return torch.autocast(values.device.type, torch.float16, enabled=values.is_cuda)


def fit(
    run: Run,
    network: MinkUNet,
    terms_of: TermsOf,
    observer: Observer | None = None,
) -> dict[str, Any]:
    """Train `network` (on its device) for all steps and return the curves, see `Curves.thinned`.

    `terms_of` takes the network's output (s, out_channels) at `batch.row`, which is made when it is
    used (`model.training.rows`), and the batch, and gives the terms of the loss by name, means that
    are added in their order. An `observer` is shown the network after every step. Every
    `run.checkpoint_every` steps, and after `CHECKPOINT_SECONDS`, the state is written to the run's
    scratch folder; if a state of this run is there, training resumes from it. Of several processes
    (`model.training.ranks`) each has a part of every batch, and the first one writes; a state is
    resumed by any number of them.

    Raises `BadInput` where a batch has no part for each process, `FloatingPointError` if the loss
    is not finite, and `Stopped`, with the state written, after the step in which a signal of
    `model.training.stop` came, to any of them.
    """
    config = OptimiserConfig(**run.params["optimiser"])
    where = next(network.parameters()).device
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name]
    # fp16 gradients leave second moments near 0: with the default eps of 1e-8 steps would explode.
    optimiser = kind(network.parameters(), lr=config.lr, weight_decay=config.weight_decay, eps=1e-6)
    scaler, curves = torch.amp.GradScaler(where.type, enabled=where.type == "cuda"), Curves()
    path = run.scratch / "checkpoint.safetensors"
    checkpoint = Checkpoint(path, run.mark, network, optimiser, scaler, curves, observer)
    checkpoint.restore()

    network.train()
    done = len(curves.loss)
    ranks.require_parts(config.batch)
    ranks.require_same(done, where)
    outputs, first = ranks.together(Outputs(network, terms_of), network), ranks.first()
    steps = range(done, config.steps)
    batches = read_batches(
        run.scans,
        seed=run.seed,
        batch=config.batch,
        steps=steps,
        augmentation=Augmentation(**run.params["augment"]),
        max_voxels=run.params["max_voxels"],
        inputs=run.params.get("inputs", COLOR_ONLY),
        voxel_size=run.params.get("voxel_size"),
        workers=run.workers,
        part=(ranks.number(), ranks.count()),
    )
    with (
        Progress(
            desc="training", total=config.steps, initial=done, unit="step", disable=not first
        ) as bar,
        Watch(run.log if first else None, curves.loss) as watch,
        StopSignals() as stop,
    ):
        due = Due(CHECKPOINT_SECONDS)
        for step, batch in zip(steps, watch.waiting(batches), strict=True):
            batch = batch.to(where)
            rate = config.rate(step)
            for group in optimiser.param_groups:
                group["lr"] = rate
            terms = ranks.shares(*outputs(batch))
            start, *rest = terms.values()
            loss = sum(rest, start=start)
            optimiser.zero_grad()
            scaler.scale(loss * ranks.count()).backward()  # gradients are averaged, losses added
            if config.clip is not None:
                scaler.unscale_(optimiser)
                nn.utils.clip_grad_norm_(network.parameters(), config.clip)
            scaler.step(optimiser)
            scaler.update()
            value, values = ranks.measured(loss, terms)
            if not math.isfinite(value):
                raise FloatingPointError(f"the loss of step {step} is {value}: lower the rate")
            curves.add(value, rate, values)
            last, agreement = step + 1 == config.steps, None
            if observer is not None:
                agreement = observer.look(network, step + 1, last)
            asked = ranks.anywhere(stop.asked, where)
            due_now = asked or due() or (step + 1) % run.checkpoint_every == 0
            if first and due_now and not last:
                checkpoint.save()
            if asked and not last:  # before a word is printed: who reads it may be gone
                ranks.wait(where)  # until the state is written: the first that ends ends all
                raise Stopped(f"stopped after step {step + 1} of {config.steps}, which is kept")
            watch.step(step + 1, value, rate, terms=values, agreement=agreement, last=last)
            bar.set_postfix(loss=f"{value:.4f}", refresh=False)
            bar.update()
    return curves.thinned()
