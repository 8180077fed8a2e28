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
from tqdm import tqdm

from model.data.augment import Augmentation
from model.data.dataset import Batch, read_batches
from model.data.scans import Scan
from model.network import files
from model.network.inputs import COLOR_ONLY
from model.network.unet import MinkUNet


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

    @property
    def mark(self) -> str:
        """Identifies the run and its scans: a checkpoint with another mark is not resumed."""
        names = [scan.scan for scan in self.scans]
        facts = [self.variant, self.seed, dict(self.params), names]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def fit(
    run: Run, network: MinkUNet, loss_of: Callable[[torch.Tensor, Batch], torch.Tensor]
) -> list[float]:
    """Train `network` (on its device) for all steps and return the loss of each step.

    `loss_of` takes the network's output (s, out_channels) at `batch.row`, and the batch. Every
    `run.checkpoint_every` steps the state is written to the run's scratch folder; if a state of
    this run is there, training resumes from it. All random numbers after the initial weights are
    functions of the seed and the step, so network, optimiser and loss scale are the whole state.

    Raises `FloatingPointError` if the loss is not finite.
    """
    config = OptimiserConfig(**run.params["optimiser"])
    where = next(network.parameters()).device
    amp = where.type == "cuda"
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name]
    # fp16 gradients leave second moments near 0: with the default eps of 1e-8 steps would explode.
    optimiser = kind(network.parameters(), lr=config.lr, weight_decay=config.weight_decay, eps=1e-6)
    scaler = torch.amp.GradScaler(where.type, enabled=amp)
    checkpoint = run.scratch / "checkpoint.safetensors"
    losses = _restore(checkpoint, run.mark, network, optimiser, scaler)

    network.train()
    steps = range(len(losses), config.steps)
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
    )
    bar = tqdm(initial=len(losses), total=config.steps, unit="step", desc="training", mininterval=2)
    for step, batch in zip(steps, batches, strict=True):
        batch = batch.to(where)
        for group in optimiser.param_groups:
            group["lr"] = config.rate(step)
        with torch.autocast(where.type, torch.float16, enabled=amp):
            output = network.head(network.trunk(batch.inputs, batch.indices)[batch.row])
        loss = loss_of(output.float(), batch)
        optimiser.zero_grad()
        scaler.scale(loss).backward()
        if config.clip is not None:
            scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(network.parameters(), config.clip)
        scaler.step(optimiser)
        scaler.update()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"the loss of step {step} is {losses[-1]}: lower the rate")
        if (step + 1) % run.checkpoint_every == 0 and step + 1 < config.steps:
            _save(checkpoint, run.mark, network, optimiser, scaler, losses)
        bar.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
        bar.update()
    bar.close()
    return losses


def _save(
    path: Path,
    mark: str,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    losses: list[float],
) -> None:
    moments = {
        f"{number}.{name}": tensor
        for number, state in optimiser.state_dict()["state"].items()
        for name, tensor in state.items()
    }
    tensors = {
        **files.named("network", network.state_dict()),
        **files.named("optimiser", moments),
        "losses": torch.tensor(losses, dtype=torch.float64),
    }
    files.write(path, tensors, {"run": mark, "scaler": json.dumps(scaler.state_dict())})


def _restore(
    path: Path,
    mark: str,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
) -> list[float]:
    """Load the checkpoint of this run, if there is one, and return the losses of its steps."""
    if not path.exists():
        return []
    tensors, metadata = files.read(path)
    if metadata.get("run") != mark:
        return []
    network.load_state_dict(files.under("network", tensors))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in files.under("optimiser", tensors).items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    scaler.load_state_dict(json.loads(metadata["scaler"]))
    return tensors["losses"].tolist()
