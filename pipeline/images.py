"""Checks of encoded images that decode no more than they must, and the brightness of pixels."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import BadInput

Size = tuple[int, int]

_FORMATS = ("JPEG", "PNG")
_GET_AGAIN = "download or export the scan again"


def image_size(blob: bytes, where: str, remedy: str) -> Size:
    """(width, height) from the header of a JPEG or PNG file; no pixel is decoded.

    Raises `BadInput` where the header is damaged.
    """
    with _open(blob, where, remedy) as image:
        return image.size


def check_image_size(blob: bytes, size: Size, where: str, remedy: str) -> None:
    """Raise `BadInput` unless `blob` is a JPEG or PNG file of (width, height) = `size`."""
    found = image_size(blob, where, remedy)
    if found != size:
        raise BadInput(where, f"is an image of {found} pixels, not of {size}", remedy)


def check_image(blob: bytes, size: Size, where: str) -> None:
    """Decode a colour image; raise `BadInput` unless it is complete and of (width, height) `size`.

    The size is checked first, because a damaged header may claim more than fits into memory.
    """
    try:
        with Image.open(io.BytesIO(blob), formats=_FORMATS) as image:
            found = image.size
            if found == size:
                image.load()
    except Exception as error:  # Pillow has a dozen exceptions for damaged files
        raise BadInput(where, f"has a damaged colour image ({error})", _GET_AGAIN) from None
    if found != size:
        raise BadInput(where, f"has colour of {found} pixels instead of {size}", _GET_AGAIN)


def decode_depth(blob: bytes, size: Size, where: str, remedy: str) -> NDArray[np.uint16]:
    """Depth (H, W) from a 16-bit grey PNG file of (width, height) = `size`. Raises `BadInput`."""
    check_image_size(blob, size, where, remedy)
    with _open(blob, where, remedy) as image:
        if not image.mode.startswith("I"):
            raise BadInput(where, "is not a 16-bit grey PNG", remedy)
        try:
            pixels = np.asarray(image)
        except Exception as error:  # Pillow has a dozen exceptions for damaged files
            raise BadInput(where, f"is a damaged image ({error})", remedy) from None
    return pixels.astype(np.uint16)


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Brightness (...) in [0, 255] of colours (..., 3): the luma of ITU-R BT.601."""
    return rgb.astype(float) @ [0.299, 0.587, 0.114]


def _open(blob: bytes, where: str, remedy: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(blob), formats=_FORMATS)
    except Exception:  # Pillow has a dozen exceptions for damaged files
        raise BadInput(where, "is not a JPEG or PNG image", remedy) from None
