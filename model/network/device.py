"""Where networks are computed, and how to get the same bits every time."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def device() -> torch.device:
    """The GPU if there is one, else the CPU: spconv's algorithms are chosen in the same way."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def reproducible() -> Iterator[None]:
    """Compute with one thread and deterministic algorithms on a CPU: results repeat bit for bit.

    Floating-point sums depend on the number of threads. On a GPU nothing changes: sparse
    convolutions add in no fixed order there, so only the data repeats.
    """
    threads = torch.get_num_threads()
    mode = torch.get_deterministic_debug_mode()
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
        # `use_deterministic_algorithms` does the same and imports torch's compiler, for seconds.
        torch.set_deterministic_debug_mode("error")
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)
