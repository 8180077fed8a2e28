"""Checks of encoded images that decode nothing more than they must."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import BadInput


def image_size(blob: bytes, where: str, remedy: str) -> tuple[int, int]:
    """(width, height) in the header of a JPEG or PNG file; no pixel is decoded.

    Raises `BadInput` where the header is damaged.
    """
    with _open(blob, where, remedy) as image:
        return image.size


def check_image_size(blob: bytes, size: tuple[int, int], where: str, remedy: str) -> None:
    """Raise `BadInput` unless `blob` is a JPEG or PNG of (width, height) = `size`."""
    found = image_size(blob, where, remedy)
    if found != size:
        raise BadInput(where, f"is an image of {found} pixels, not of {size}", remedy)


def decode_depth(blob: bytes, size: tuple[int, int], where: str, remedy: str) -> NDArray[np.uint16]:
    """The (H, W) depth in a 16-bit grey PNG of (width, height) = `size`. Raises `BadInput`."""
    check_image_size(blob, size, where, remedy)
    with _open(blob, where, remedy) as image:
        if not image.mode.startswith("I"):
            raise BadInput(where, "is not a 16-bit grey PNG", remedy)
        try:
            pixels = np.asarray(image)
        except Exception as error:  # Pillow has a dozen exceptions for damaged files
            raise BadInput(where, f"is a damaged image ({error})", remedy) from None
    return pixels.astype(np.uint16)


def _open(blob: bytes, where: str, remedy: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(blob), formats=("JPEG", "PNG"))
    except Exception:  # Pillow has a dozen exceptions for damaged files
        raise BadInput(where, "is no JPEG or PNG image", remedy) from None
