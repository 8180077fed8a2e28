"""What is measured in every step of a training, for the file of the network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from model.network import files

ROWS = 200  # of the curves of terms and rate, at most


@dataclass
class Curves:
    """The loss of each step so far, the terms that it is the sum of, and the learning rate."""

    loss: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    terms: dict[str, list[float]] = field(default_factory=dict)

    def add(self, loss: float, rate: float, terms: Mapping[str, float]) -> None:
        """Add a step."""
        self.loss.append(loss)
        self.rate.append(rate)
        for name, value in terms.items():
            self.terms.setdefault(name, []).append(value)

    def state(self) -> dict[str, torch.Tensor]:
        """What a checkpoint holds of it."""
        known = {"losses": self.loss, "rates": self.rate}
        known |= {f"terms.{name}": each for name, each in self.terms.items()}
        return {name: torch.tensor(each, dtype=torch.float64) for name, each in known.items()}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take what `state` gave, which is among the tensors."""
        self.loss, self.rate = tensors["losses"].tolist(), tensors["rates"].tolist()
        self.terms = {n: each.tolist() for n, each in files.under("terms", tensors).items()}

    def thinned(self) -> dict[str, Any]:
        """The curves `network` with the loss of all steps, and `terms` and `rate` of some.

        `step` counts the steps done.
        """
        steps = thinned(len(self.loss))
        terms = {name: [each[step - 1] for step in steps] for name, each in self.terms.items()}
        return {
            "network": {"loss": self.loss},
            "terms": {"step": steps, **terms},
            "rate": {"step": steps, "rate": [self.rate[step - 1] for step in steps]},
        }


def thinned(steps: int, rows: int = ROWS) -> list[int]:
    """At most `rows` of the steps 1, 2, ..., `steps`, equally far apart, the last among them."""
    return [*range(steps, 0, -max(1, -(-steps // rows)))][::-1]
