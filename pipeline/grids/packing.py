"""How small integers share bytes, in bands of 8, 4 and 2 bits.

A byte of the 4- or 2-bit band has components that are a half or a quarter of the band apart, so
that packing and unpacking move whole blocks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BITS = (8, 4, 2)  # of a component, by band


def packed(bands: Sequence[int]) -> int:
    """Bytes of a vector with this many components in each band."""
    return sum(count * bits // 8 for count, bits in zip(bands, BITS, strict=True))


def pack(level: NDArray[np.uint8], bands: Sequence[int]) -> NDArray[np.uint8]:
    """The bytes (n, packed) of components (n, r), each below 2 to the bits of its band."""
    out, byte, at = np.zeros((len(level), packed(bands)), np.uint8), 0, 0
    for count, bits in zip(bands, BITS, strict=True):
        wide = count * bits // 8
        for shift in range(0, 8, bits):
            out[:, byte : byte + wide] |= level[:, at : at + wide] << shift
            at += wide
        byte += wide
    return out


def unpack(code: Any, bands: Sequence[int], out: Any) -> None:
    """Put the components of bytes u8 (n, packed) into `out` (n, r): two arrays or two tensors."""
    byte = at = 0
    for count, bits in zip(bands, BITS, strict=True):
        wide = count * bits // 8
        for shift in range(0, 8, bits):
            out[:, at : at + wide] = (code[:, byte : byte + wide] >> shift) & (2**bits - 1)
            at += wide
        byte += wide
