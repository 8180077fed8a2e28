"""Predicted embeddings of a batch as loss terms see them, never all at once.

A term asks for what it needs of each embedding: cosines with its target or with the texts. All
terms share one pass over the rows, in which each embedding is made from the network's last layer
but one, compared, and forgotten until the backward pass makes it again.
"""

from collections.abc import Callable, Collection

import torch
import torch.nn.functional as F

from model.training import rows
from model.training.supervision import Supervision, distance

# Embeddings (n, d) float32 of unit length, what is known, and which rows they are -> (n, c).
OfRows = Callable[[torch.Tensor, Supervision, slice], torch.Tensor]


def distances(unit: torch.Tensor, known: Supervision, at: slice) -> torch.Tensor:
    """1 - cos (n, 1) with the targets."""
    return distance(unit, known.target[at])[:, None]


def pooled_distances(unit: torch.Tensor, known: Supervision, at: slice) -> torch.Tensor:
    """1 - cos (n, 1) with the mean target of the group of each."""
    return distance(unit, known.pooled_target[known.groups[0][at]])[:, None]


def logits(unit: torch.Tensor, known: Supervision, at: slice) -> torch.Tensor:
    """Cosines (n, K) with the texts, over the temperature."""
    return unit @ known.text.T / known.temperature


class Predicted:
    """The predicted embeddings (V, d) of a batch, of any length."""

    def __init__(
        self,
        embedding: torch.Tensor | rows.Lazy,
        known: Supervision,
        together: Collection[OfRows] = (),
    ) -> None:
        """`together` are the functions that will be asked for, computed in one pass."""
        self.embedding = rows.lazy(embedding)
        self._known, self._together = known, tuple(dict.fromkeys(together))
        self._found: dict[OfRows, torch.Tensor] = {}

    def of(self, function: OfRows) -> torch.Tensor:
        """What a function gives for all rows: (V, c) float32."""
        if function not in self._found:
            wanted = self._together if function in self._together else (function,)
            self._found |= self._computed(wanted)
        return self._found[function]

    def of_sums(self, function: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """A scalar function of the sums (S, d) float32 of unit embeddings over the groups.

        The sums need all rows, so their gradient is taken at once: what is kept is a linear
        function of the embeddings with that gradient, and of value 0.
        """
        group, size = self._known.groups
        with torch.no_grad():
            total = self._known.text.new_zeros(len(size), self.embedding.width)
            for at in rows.slices(self.embedding):
                total.index_add_(0, group[at], _unit(self.embedding[at]))
        if not torch.is_grad_enabled():
            return function(total)
        value = function(total.requires_grad_())
        (gradient,) = torch.autograd.grad(value, total)
        linear = rows.computed(
            lambda part, at: (_unit(part) * gradient[group[at]]).sum(dim=1), self.embedding
        ).sum()
        return value.detach() + (linear - linear.detach())

    def _computed(self, wanted: tuple[OfRows, ...]) -> dict[OfRows, torch.Tensor]:
        widths: list[int] = []

        def of_part(part: torch.Tensor, at: slice) -> torch.Tensor:
            unit = _unit(part)
            each = [function(unit, self._known, at) for function in wanted]
            widths[:] = [found.shape[1] for found in each]
            return torch.cat(each, dim=1)

        joined = rows.computed(of_part, self.embedding)
        return dict(zip(wanted, joined.split(widths, dim=1), strict=True))


def _unit(embedding: torch.Tensor) -> torch.Tensor:
    return F.normalize(embedding.float(), dim=1)
