"""Functions of the rows of tall tensors, computed part by part, so that little memory is needed.

Predicted and 2D embeddings of a batch are (V, d) with V of 100,000 and d of 768: 300 MB each in
float32. What a loss term makes of them on its way, embeddings of unit length for example, is as
large, and autograd would keep all of it until the backward pass.
"""

from collections.abc import Callable, Iterator

import torch
from torch.utils.checkpoint import checkpoint

NUMBERS = 2**22  # of each tensor in one part: 16 MB in float32


def parts(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """The same rows of all tensors (V, ...), some at a time."""
    widest = max(tensor[:1].numel() for tensor in tensors)
    rows = max(1, NUMBERS // max(1, widest))
    return zip(*(tensor.split(rows) for tensor in tensors), strict=True)


def computed(function: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> torch.Tensor:
    """What `function` gives for the rows of tensors (V, ...), row by row: (V, ...).

    Of several parts only the tensors are kept for the backward pass, which computes each part anew
    (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016). One part is kept whole.
    """
    return torch.cat(_of_parts(function, tensors))


def added(function: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> torch.Tensor:
    """The sum of what `function` gives for parts of tensors (V, ...), kept as by `computed`."""
    first, *others = _of_parts(function, tensors)
    return sum(others, start=first)


def _of_parts(
    function: Callable[..., torch.Tensor], tensors: tuple[torch.Tensor, ...]
) -> list[torch.Tensor]:
    each = list(parts(*tensors))
    if len(each) == 1 or not torch.is_grad_enabled():
        return [function(*part) for part in each]
    return [
        checkpoint(function, *part, use_reentrant=False, preserve_rng_state=False) for part in each
    ]
