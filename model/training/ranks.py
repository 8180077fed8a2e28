"""The processes that train one network together: one for each GPU, each with a part of each batch.

`torchrun` starts them (see `pipeline.jobs.ranks`). Without it there is one process, to which
nothing here does anything. Together they compute what one process would, but for the order in which
numbers are added: they see the same samples, share the statistics of the norms, and weigh the loss
by what each part of the batch has of the whole.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from model.training.shared_norm import share_statistics
from pipeline.errors import BadInput

T = TypeVar("T")


class Mean(NamedTuple):
    """A mean over what a batch has of something: voxels, mostly, which may have weights."""

    value: torch.Tensor  # a scalar; of any value, also not finite, where it is over nothing
    over: torch.Tensor | float  # the sum of the weights, >= 0


@contextmanager
def joined() -> Iterator[None]:
    """Meet the others, as `torchrun` says in the environment; this process takes its own GPU."""
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if gpu else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def number() -> int:
    """The number of this one, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def first() -> bool:
    """Whether this is the process that writes files."""
    return number() == 0


def own(items: Sequence[T]) -> Sequence[T]:
    """Every N-th of some items: those of this process."""
    return items[number() :: count()]


def require_parts(batch: int) -> None:
    """Raise `BadInput` unless each process has a part of each batch."""
    if batch < count():
        what = f"a batch of {batch} has no part for each of {count()} GPUs"
        raise BadInput("`train:` in the config", what, "set `gpus` to fewer, or a larger `batch`")


def total(values: torch.Tensor) -> torch.Tensor:
    """The sum of the values of all processes, without a gradient."""
    if count() == 1:
        return values
    values = values.detach().clone()
    dist.all_reduce(values)
    return values


def total_counts(counts: NDArray[np.int64], where: torch.device) -> NDArray[np.int64]:
    """The same of numbers that are counted; they travel by way of a device."""
    if count() == 1:
        return counts
    return total(torch.from_numpy(counts).to(where)).cpu().numpy()


def anywhere(flag: bool, where: torch.device) -> bool:
    """Whether a flag is set in any of the processes."""
    return flag if count() == 1 else bool(total(torch.tensor(int(flag), device=where)) > 0)


def wait(where: torch.device) -> None:
    """Return once all processes are here."""
    anywhere(False, where)


def require_same(state: int, where: torch.device) -> None:
    """Raise `RuntimeError` unless a number is the same in all processes."""
    if count() > 1:
        each = torch.tensor([state, state**2], dtype=torch.float64, device=where)
        mean, square = (total(each) / count()).tolist()
        if mean != state or square != state**2:
            raise RuntimeError(f"step {state} here is another one in another process")


def together(module: nn.Module, network: nn.Module) -> nn.Module:
    """`module`, which computes all of the loss that has weights, such that gradients are averaged.

    The norms of `network`, which is part of it, get the statistics of the whole batch.
    """
    if count() == 1:
        return module
    where = next(module.parameters()).device
    share_statistics(network, where)
    devices = [torch.cuda.current_device()] if where.type == "cuda" else None
    # The statistics are equal everywhere: to send those of the first process would be in vain.
    return DistributedDataParallel(module, device_ids=devices, broadcast_buffers=False)


def shares(means: Mapping[str, Mean], output: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the part of each process adds to the mean over the whole batch, by name.

    A mean of the parts' means would weigh a voxel by how few others its part has. What is over
    nothing here adds 0, which depends on the `output` all the same: no process waits for another
    one's gradient in vain.
    """
    if count() == 1:
        return {name: mean.value for name, mean in means.items()}
    here = [torch.as_tensor(mean.over, device=output.device).double() for mean in means.values()]
    share = torch.stack(here)
    share = share / total(share).clamp_min(torch.finfo(torch.float64).tiny)
    nothing = output.float().sum() * 0.0
    return {
        name: mean.value * part if part > 0 else nothing
        for (name, mean), part in zip(means.items(), share.tolist(), strict=True)
    }


def measured(
    loss: torch.Tensor, terms: Mapping[str, torch.Tensor]
) -> tuple[float, dict[str, float]]:
    """The loss of the whole batch and its terms, in all processes, from their shares."""
    if count() == 1:
        return loss.item(), {name: term.item() for name, term in terms.items()}
    value, *values = total(torch.stack([loss.double(), *(t.double() for t in terms.values())]))
    return value.item(), {n: each.item() for n, each in zip(terms, values, strict=True)}
