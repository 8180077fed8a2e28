"""Vectors as 8-bit integers with a scale each, and arrays of an entry that are checked."""

from typing import cast

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.errors import BadInput


def to_int8(cells: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """Codes (..., d) and scales (...): no number is off by more than half of its vector's scale.

    The scale is the vector's largest number over 127, rounded up where float16 has no such number.
    """
    wide = cells.astype(np.float32)
    exact = np.abs(wide).max(-1) / 127
    if not np.isfinite(exact).all():
        what = "the image tower gave a vector that is not finite"
        raise BadInput("embeddings", what, "check its weights and the frame's image")
    scale = exact.astype(np.float16)
    scale = np.where(scale < exact, np.nextafter(scale, np.float16(np.inf)), scale)
    divisor = np.where(scale > 0, scale, np.float16(1)).astype(np.float32)
    return np.rint(wide / divisor[..., None]).astype(np.int8), scale


def to_float32(
    entry: zarr.Group, name: str, kind: type, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """An array that must have this type and shape, as float32; raises `ValueError`."""
    array = cast(zarr.Array, entry[name])
    if array.dtype != kind or array.shape != shape:
        raise ValueError(f"{name} is {array.dtype} {array.shape}")
    return np.asarray(array[...]).astype(np.float32)


def stored(entry: zarr.Group, name: str, kind: type) -> zarr.Array:
    """An array of four axes that must have this type; raises `ValueError`."""
    array = cast(zarr.Array, entry[name])
    if array.dtype != kind or array.ndim != 4:
        raise ValueError(f"{name} is {array.dtype} {array.shape}")
    return array
