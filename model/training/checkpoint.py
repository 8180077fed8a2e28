"""The whole state of a training in a file, from which it resumes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from model.network import files
from model.network.tensors import require_like
from model.network.unet import MinkUNet
from model.training.curves import Curves
from pipeline.errors import BadInput
from pipeline.foreign import one_line, parse_json
from pipeline.whole_file import whole_file


class Observer(Protocol):
    """What looks at a network while it is trained; its state is part of a checkpoint."""

    def look(self, network: MinkUNet, step: int, last: bool) -> float | None:
        """Look at the network after `step` steps, `last` after all, and leave it as it was.

        Returns the agreement if it was measured.
        """

    def state(self) -> dict[str, torch.Tensor]:
        """What is to be kept, by names of its own."""

    def restore(self, tensors: Mapping[str, torch.Tensor], where: torch.device) -> None:
        """Take what `state` gave, which is among the tensors."""


@dataclass(frozen=True)
class Checkpoint:
    """A training and its file.

    All random numbers after the initial weights are functions of the seed and the step, so network,
    optimiser, loss scale, curves and observer are the whole state.
    """

    path: Path
    mark: str  # of the run: a file with another one is of another run
    network: MinkUNet
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    curves: Curves
    observer: Observer | None

    def save(self) -> None:
        """Write the state of now. Raises `BadInput` where the work tree cannot be written to."""
        moments = {
            f"{number}.{name}": tensor
            for number, state in self.optimiser.state_dict()["state"].items()
            for name, tensor in state.items()
        }
        tensors = {
            **files.named("network", self.network.state_dict()),
            **files.named("optimiser", moments),
            **self.curves.state(),
            **(self.observer.state() if self.observer is not None else {}),
        }
        scaler = json.dumps(self.scaler.state_dict())
        with whole_file(self.path) as partial:
            files.write(partial, tensors, {"run": self.mark, "scaler": scaler})

    def restore(self) -> None:
        """Take the state that the file of this run has, if there is one.

        Raises `BadInput` for one that is damaged.
        """
        if not self.path.exists():
            return
        tensors, metadata = files.read(self.path)
        if metadata.get("run") != self.mark:
            return
        try:
            self._take(tensors, metadata)
        except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
            what = f"is no state of this training ({one_line(error)})"
            raise BadInput(self.path, what, "remove it, and training begins again") from error

    def _take(self, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
        own = self.network.state_dict()
        weights = files.under("network", tensors)
        for name, tensor in own.items():
            require_like(name, weights[name], tuple(tensor.shape), tensor.dtype)
        self.network.load_state_dict(weights)
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in files.under("optimiser", tensors).items():
            number, _, name = key.partition(".")
            state.setdefault(int(number), {})[name] = tensor
        parameters = [*self.network.parameters()]
        for place, known in state.items():
            for name, tensor in known.items():
                if tensor.ndim:  # the other is the number of steps
                    require_like(f"optimiser.{place}.{name}", tensor, parameters[place].shape)
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        self.scaler.load_state_dict(parse_json(metadata["scaler"]))
        self.curves.restore(tensors)
        if self.observer is not None:
            self.observer.restore(tensors, next(self.network.parameters()).device)
