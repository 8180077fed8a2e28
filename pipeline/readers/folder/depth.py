"""Depth that is kept as floating-point metres: EXR files, and raw arrays packed by LZFSE.

Both become 16-bit millimetres, 0 where nothing was measured, as the other formats have them.
"""

import contextlib
import io

import lzfse
import numpy as np
import OpenEXR
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.readers.folder.values import MEND, WIDEST

_LZFSE_HEADER = 8  # bytes: the kind of a block, and how many bytes it unpacks to


def millimetres(metres: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Depth in whole millimetres; 0 for what is no number, not positive, or beyond 65 m."""
    with np.errstate(invalid="ignore", over="ignore"):
        rounded = np.rint(metres.astype(np.float64) * 1000)
        return np.where((rounded > 0) & (rounded < 65535), rounded, 0).astype(np.uint16)


def exr_size(blob: bytes, where: str) -> tuple[int, int]:
    """(width, height) in the header of an EXR file. Raises `BadInput`."""
    try:
        low, high = _exr(blob, header_only=True).header()["dataWindow"]
        width, height = (int(b) - int(a) + 1 for a, b in zip(low, high, strict=True))
    except Exception:  # the library has several exceptions for damaged files
        raise BadInput(where, "is no EXR image", MEND) from None
    if not (0 < width <= WIDEST and 0 < height <= WIDEST):
        raise BadInput(where, f"claims {width} x {height} pixels", MEND)
    return width, height


def decode_exr(blob: bytes, size: tuple[int, int], where: str) -> NDArray[np.uint16]:
    """Depth (H, W) in the one channel (or the first) of an EXR file. Raises `BadInput`."""
    found = exr_size(blob, where)
    if found != size:
        raise BadInput(where, f"is an image of {found} pixels, not of {size}", MEND)
    try:
        channels = _exr(blob, separate_channels=True).channels()
        pixels = np.asarray(channels["R" if "R" in channels else min(channels)].pixels)
    except Exception as error:  # the library has several exceptions for damaged files
        raise BadInput(where, f"is a damaged image ({error})", MEND) from None
    if pixels.shape != size[::-1] or pixels.dtype.kind != "f":
        raise BadInput(where, "does not hold one number for each pixel", MEND)
    return millimetres(pixels)


def decode_lzfse(blob: bytes, size: tuple[int, int], where: str) -> NDArray[np.uint16]:
    """Depth (H, W) from float32 metres, packed or as they are. Raises `BadInput`."""
    expected = 4 * size[0] * size[1]
    if len(blob) != expected:
        # Told by the header before it is unpacked: a damaged one may claim gigabytes.
        claimed = int.from_bytes(blob[4:_LZFSE_HEADER], "little")
        try:
            blob = lzfse.decompress(blob) if claimed <= expected else b""
        except (lzfse.error, MemoryError):
            blob = b""
    if len(blob) != expected:
        raise BadInput(where, f"holds no depth of {size} pixels", MEND)
    return millimetres(np.frombuffer(blob, "<f4").reshape(size[::-1]))


def _exr(blob: bytes, **options: bool) -> OpenEXR.File:
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it then raises
        return OpenEXR.File(io.BytesIO(blob), num_threads=0, **options)
