"""How sure a phone is of each pixel of depth: ARKit's low (0), medium and high.

Low means a guess from the colour image, mostly at edges and on dark or shiny things.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import BadInput
from pipeline.readers.folder.values import FIX, Size


def decode_confidence(blob: bytes, size: Size, where: object) -> NDArray[np.uint8]:
    """Confidence (H, W) in an 8-bit grey PNG file, 0 = low. Raises `BadInput`."""
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
