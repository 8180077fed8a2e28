"""How arrays are written into an entry: one place for chunks and codecs."""

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

_BLOSC = BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle")


def write(
    group: zarr.Group,
    name: str,
    data: NDArray,
    chunk: int | None = None,
    compress: bool = True,
) -> None:
    """Write `data` as `group[name]`, `chunk` rows of its first axis to a chunk (all by default).

    Integers, labels and coordinates compress well; embeddings do not (zstd on fp16 saves 8 % and
    halves the reading speed), so write those with `compress=False`.
    """
    rows = max(1, min(len(data), chunk or len(data)))
    group.create_array(
        name,
        data=np.ascontiguousarray(data),
        chunks=(rows, *(max(1, n) for n in data.shape[1:])),
        compressors=_BLOSC if compress else None,
    )
