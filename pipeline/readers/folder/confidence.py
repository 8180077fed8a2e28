"""How sure a phone is of each pixel of depth: ARKit's low (0), medium and high.

Low means a guess from the colour image, mostly at edges and on dark or shiny things.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import BadInput
from pipeline.readers.folder.depth import unpack_lzfse
from pipeline.readers.folder.values import FIX, Size

_PNG = b"\x89PNG"


def decode_confidence(blob: bytes, size: Size, where: object) -> NDArray[np.uint8]:
    """Confidence (H, W), 0 = low, in an 8-bit grey PNG file, or in bytes with or without LZFSE.

    Raises `BadInput`.
    """
    if not blob.startswith(_PNG):
        unpacked = unpack_lzfse(blob, size[0] * size[1])
        if unpacked is None:
            raise BadInput(str(where), f"does not contain the confidence of {size} pixels", FIX)
        return np.frombuffer(unpacked, np.uint8).reshape(size[::-1])
    try:
        with Image.open(io.BytesIO(blob), formats=("PNG",)) as image:
            found, mode = image.size, image.mode
            pixels = np.asarray(image) if found == size and mode == "L" else None
    except Exception as error:  # Pillow has a dozen exceptions for damaged files
        raise BadInput(str(where), f"is a damaged image ({error})", FIX) from None
    if pixels is None:
        what = f"is an image of {found} pixels and mode {mode}, not of {size} and 8-bit grey"
        raise BadInput(str(where), what, FIX)
    return pixels
