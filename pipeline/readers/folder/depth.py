"""Depth in floating-point metres: EXR files, and raw arrays compressed by LZFSE.

Both are converted to 16-bit millimetres, 0 where nothing was measured, as in the other formats.
"""

import contextlib
import io

import lzfse
import numpy as np
import OpenEXR
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.readers.folder.values import FIX, MAX_SIDE

_LZFSE_HEADER = 8  # bytes: the kind of a block, and its unpacked size in bytes


def millimetres(metres: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Depth in integer millimetres; 0 for what is not finite, not positive, or beyond 65 m."""
    with np.errstate(invalid="ignore", over="ignore"):
        rounded = np.rint(metres.astype(np.float64) * 1000)
        return np.where((rounded > 0) & (rounded < 65535), rounded, 0).astype(np.uint16)


def exr_size(blob: bytes, where: str) -> tuple[int, int]:
    """(width, height) in the header of an EXR file. Raises `BadInput`."""
    try:
        low, high = _exr(blob, header_only=True).header()["dataWindow"]
        width, height = (int(b) - int(a) + 1 for a, b in zip(low, high, strict=True))
    except Exception:  # the library has several exceptions for damaged files
        raise BadInput(where, "is not an EXR image", FIX) from None
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise BadInput(where, f"claims {width} x {height} pixels", FIX)
    return width, height


def decode_exr(blob: bytes, size: tuple[int, int], where: str) -> NDArray[np.uint16]:
    """Depth (H, W) in the one channel (or the first) of an EXR file. Raises `BadInput`."""
    found = exr_size(blob, where)
    if found != size:
        raise BadInput(where, f"is an image of {found} pixels, not of {size}", FIX)
    try:
        channels = _exr(blob, separate_channels=True).channels()
        pixels = np.asarray(channels["R" if "R" in channels else min(channels)].pixels)
    except Exception as error:  # the library has several exceptions for damaged files
        raise BadInput(where, f"is a damaged image ({error})", FIX) from None
    if pixels.shape != size[::-1] or pixels.dtype.kind != "f":
        raise BadInput(where, "does not contain one number per pixel", FIX)
    return millimetres(pixels)


def decode_lzfse(blob: bytes, size: tuple[int, int], where: str) -> NDArray[np.uint16]:
    """Depth (H, W) from float32 metres, compressed or not. Raises `BadInput`."""
    unpacked = unpack_lzfse(blob, 4 * size[0] * size[1])
    if unpacked is None:
        raise BadInput(where, f"does not contain depth of {size} pixels", FIX)
    return millimetres(np.frombuffer(unpacked, "<f4").reshape(size[::-1]))


def unpack_lzfse(blob: bytes, expected: int) -> bytes | None:
    """What a file has, compressed by LZFSE or not; None where it is not `expected` bytes."""
    if len(blob) != expected:
        # The header is checked before unpacking: a damaged one may claim gigabytes.
        claimed = int.from_bytes(blob[4:_LZFSE_HEADER], "little")
        try:
            blob = lzfse.decompress(blob) if claimed <= expected else b""
        except (lzfse.error, MemoryError):
            return None
    return blob if len(blob) == expected else None


def _exr(blob: bytes, **options: bool) -> OpenEXR.File:
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the errors that it raises
        return OpenEXR.File(io.BytesIO(blob), num_threads=0, **options)
