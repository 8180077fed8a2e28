"""Functions of the rows of tall tensors, computed part by part, so that little memory is needed.

Predicted and 2D embeddings of a batch are (V, d) with V of 100,000 and d of 768: 300 MB each in
float32. What a loss makes of them on its way, embeddings of unit length for example, is as large,
and autograd would keep all of it until the backward pass.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.checkpoint import checkpoint

NUMBERS = 2**22  # of a part: 16 MB in float32, which caches of a CPU hold
ON_GPU = 8  # times as many, so that few kernels are started


@dataclass(frozen=True)
class Lazy:
    """A tensor (V, width), of which a part is made of the same rows of another when it is used."""

    source: torch.Tensor  # (V, ...)
    make: Callable[[torch.Tensor], torch.Tensor]  # (n, ...) -> (n, width)
    width: int

    def __len__(self) -> int:
        """V."""
        return len(self.source)

    def __getitem__(self, some: slice) -> torch.Tensor:
        """Some rows (n, width)."""
        return self.make(self.source[some])


def lazy(tall: torch.Tensor | Lazy) -> Lazy:
    """A tensor (V, width), also one that is there already."""
    return tall if isinstance(tall, Lazy) else Lazy(tall, lambda rows: rows, tall.shape[1])


def slices(tall: Lazy) -> list[slice]:
    """Which rows are in each part: all in order, at least one part."""
    numbers = NUMBERS * (ON_GPU if tall.source.is_cuda else 1)
    rows = max(1, numbers // max(1, tall.width))
    return [slice(first, first + rows) for first in range(0, max(1, len(tall)), rows)]


def computed(function: Callable[[torch.Tensor, slice], torch.Tensor], tall: Lazy) -> torch.Tensor:
    """What `function` gives for rows (n, width) of (V, width) and their place: (V, ...).

    Of several parts nothing is kept for the backward pass but the source of the rows: it makes and
    computes each part anew (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016).
    A single part is kept whole.
    """

    def of_part(source: torch.Tensor, at: slice) -> torch.Tensor:
        return function(tall.make(source), at)

    places = slices(tall)
    # Slices instead would each have a gradient of all rows.
    each = zip(tall.source.split(places[0].stop), places, strict=True)
    if len(places) == 1 or not torch.is_grad_enabled():
        return torch.cat([of_part(source, at) for source, at in each])
    return torch.cat(
        [
            checkpoint(of_part, source, at, use_reentrant=False, preserve_rng_state=False)
            for source, at in each
        ]
    )
