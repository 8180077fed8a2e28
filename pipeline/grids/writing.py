"""How the grids of a scan are written, whatever their codec."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Protocol

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.grids.codecs import name_of


class Writer(Protocol):
    """Writes the grids of one scan, in any order of the frames and from any thread."""

    def put(self, first: int, cells: NDArray[np.float16]) -> None:
        """Write the grids (B, h, w, d) of the frames from `first` on."""

    def finish(self, pool: ThreadPoolExecutor) -> None:
        """Write what is known only after all frames have been put, on the threads of `pool`."""


def open_writer(out: zarr.Group, codec: ModuleType, shape: tuple[int, int, int, int]) -> Writer:
    """The writer of a codec for a scan of `shape` (F, h, w, d), and the entry's attribute `codec`.

    Raises `BadInput` where the codec cannot store vectors (d,).
    """
    codec.check(shape[-1])
    out.attrs["codec"] = name_of(codec)
    writer: Writer = codec.Writer(out, shape)
    return writer


def write(
    out: zarr.Group, codec: ModuleType, grids: Iterable[NDArray[np.float16]], shape: Sequence[int]
) -> None:
    """Write grids (h, w, d), in the order of the frames, as a scan of `shape` (F, h, w, d)."""
    frames, height, width, depth = shape
    writer = open_writer(out, codec, (frames, height, width, depth))
    for frame, cells in enumerate(grids):
        writer.put(frame, cells[None])
    with ThreadPoolExecutor(1) as pool:
        writer.finish(pool)
