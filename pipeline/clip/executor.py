"""Where work on many images is done: on the threads of this machine, or on a cluster of dask's.

dask's own setting `scheduler-address` (DASK_SCHEDULER_ADDRESS in the environment) names the
cluster. Machines are not part of a key: none of this is a parameter, and the bytes do not depend on
how many workers there are.
"""

import hashlib
import platform
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import dask.config
import torch

from pipeline.errors import BadInput

_TRIES = 3  # of a call that dask cancels
_PACKAGES = ("numpy", "open_clip_torch", "pillow", "timm", "torch")

T = TypeVar("T")


class LocalExecutor:
    """The threads of this machine: a function runs in the thread that calls it."""

    def __init__(self, threads: int) -> None:
        self.threads = threads  # calls to have under way at the same time

    def share(self, value: Any) -> Any:
        """What to pass to calls instead of a value that many of them need."""
        return value

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """The result of a function."""
        return function(*args)


@dataclass
class _Shared:
    """A value, and what workers know it by."""

    value: Any
    sent: Any


class DaskExecutor:
    """The workers of a cluster: they need this environment and checkout, and no file of a run."""

    def __init__(self, address: str, timeout: float = 30) -> None:
        """Raises `BadInput` where within `timeout` seconds no scheduler answers or has a worker."""
        from distributed import Client

        remedy = "start `dask scheduler` and `dask worker`, or unset DASK_SCHEDULER_ADDRESS"
        try:
            self.client = Client(address, timeout=timeout, direct_to_workers=True)
        except (OSError, ValueError) as error:
            raise BadInput(address, "no scheduler of dask answers there", remedy) from error
        try:
            self.client.wait_for_workers(1, timeout=timeout)
        except TimeoutError as error:
            self.client.close()
            raise BadInput(address, "the scheduler of dask has no worker", remedy) from error

    @property
    def threads(self) -> int:
        """Twice the threads of all workers: one call runs and another is on its way."""
        return 2 * max(1, sum(self.client.nthreads().values()))

    def share(self, value: Any) -> Any:
        """Send a value to every worker, once, and again where all who had it are lost."""
        return _Shared(value, self.client.scatter(value, broadcast=True))

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """The result of a function that some worker calls; raises what it raises.

        dask calls it again where its worker is lost, but where a result is lost on its way it may
        cancel the call instead, so such calls are made anew.
        """
        for _ in range(_TRIES - 1):
            with suppress(CancelledError):
                return self._submitted(function, *args)
            for each in args:
                if isinstance(each, _Shared):
                    each.sent = self.client.scatter(each.value, broadcast=True)
        return self._submitted(function, *args)

    def _submitted(self, function: Callable[..., T], *args: Any) -> T:
        sent = [each.sent if isinstance(each, _Shared) else each for each in args]
        future = self.client.submit(_call, code_digest(), function, *sent, pure=False)
        return future.result()


def get_executor(threads: int) -> LocalExecutor | DaskExecutor:
    """The cluster that dask's settings name, or as many threads of this machine."""
    address = dask.config.get("scheduler-address", None)
    return DaskExecutor(address) if address else LocalExecutor(threads)


@cache
def code_digest() -> str:
    """SHA-256 of the code and the packages that this process has loaded, as of its first call.

    A worker may run for weeks, and an entry's key promises the code that made it.
    """
    home = Path(__file__).parents[1]
    parts = [f"{name} {version(name)}" for name in _PACKAGES]
    for path in sorted(home.rglob("*.py")):
        parts.append(f"{path.relative_to(home)} {hashlib.sha256(path.read_bytes()).hexdigest()}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _call(known: str, function: Callable[..., T], *args: Any) -> T:
    if known != code_digest():
        what = "this worker of dask has loaded other code or packages than the run"
        raise BadInput(platform.node(), what, "restart it in the checkout of the run")
    torch.set_num_threads(1)  # the bytes must not depend on a worker's cores
    return function(*args)
