"""Encoded images: checks that decode no more than they must, and pixels as a viewer shows them."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.errors import BadInput

Size = tuple[int, int]

FORMATS = ("JPEG", "PNG", "WEBP")  # of colour; no other decoder of Pillow is ever used
WHITE = 65535  # in a grey image of 16 bits

_GET_AGAIN = "download or export the scan again"
_ORIENTATION = 0x0112  # the tag of EXIF
_MAY_TURN = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")  # where PNG files have tags
_DEEP = ("I", "F")  # modes of more than 8 bits, or what they begin with
_BITS = (8, 10, 12, 14, 16)  # of sensors


def image_size(blob: bytes, where: str, remedy: str) -> Size:
    """(width, height) of an image as a viewer shows it, from its header; no pixel is decoded.

    Raises `BadInput` where the header is damaged.
    """
    with _open(blob, where, remedy) as image:
        return image.size if _turn(image, blob) < 5 else image.size[::-1]


def lies_on_its_side(blob: bytes, where: str, remedy: str) -> bool:
    """Whether the pixels of an image are stored a quarter turn from how a viewer shows them."""
    with _open(blob, where, remedy) as image:
        return _turn(image, blob) >= 5


def check_image_size(blob: bytes, size: Size, where: str, remedy: str) -> None:
    """Raise `BadInput` unless a viewer shows an image of (width, height) = `size`."""
    found = image_size(blob, where, remedy)
    if found != size:
        raise BadInput(where, f"is an image of {found} pixels, not of {size}", remedy)


def upright(blob: bytes, size: Size, where: str, remedy: str, white: int = WHITE) -> bytes:
    """A colour image of (width, height) = `size`, such that decoders need not know its tags.

    The same bytes, unless its EXIF orientation turns it or its pixels have more than 8 bits: then
    it is encoded again, without loss, in 8 bits of which 255 is `white`. Raises `BadInput`.
    """
    check_image_size(blob, size, where, remedy)
    with _open(blob, where, remedy) as image:
        deep = image.mode.startswith(_DEEP)
        if not deep and _turn(image, blob) == 1:
            return blob
        try:
            shown = ImageOps.exif_transpose(image)
            if deep:
                share = np.asarray(shown).astype(np.float64).clip(0, white) / white
                shown = Image.fromarray(np.rint(255 * share).astype(np.uint8))
            png = io.BytesIO()
            shown.convert("RGB").save(png, "PNG", compress_level=1)
        except Exception as error:  # Pillow has a dozen exceptions for damaged files
            raise BadInput(where, f"is a damaged image ({error})", remedy) from None
    return png.getvalue()


def brightest(blob: bytes, where: str, remedy: str) -> int:
    """The largest number of an image of more than 8 bits; 0 of others. Raises `BadInput`."""
    with _open(blob, where, remedy) as image:
        try:
            return int(np.asarray(image).max()) if image.mode.startswith(_DEEP) else 0
        except Exception as error:  # Pillow has a dozen exceptions for damaged files
            raise BadInput(where, f"is a damaged image ({error})", remedy) from None


def white_of(highest: int) -> int:
    """What is white in images of 16 bits whose largest number is `highest`.

    Many sensors have fewer bits: it is the largest number of the fewest bits that are enough.
    """
    return next((2**bits - 1 for bits in _BITS if 0 < highest < 2**bits), WHITE)


def check_image(blob: bytes, size: Size, where: str) -> None:
    """Decode a colour image; raise `BadInput` unless it is complete and of (width, height) `size`.

    The size is checked first, because a damaged header may claim more than fits into memory.
    """
    try:
        with Image.open(io.BytesIO(blob), formats=FORMATS) as image:
            found = image.size
            if found == size:
                image.load()
                _require_whole(blob, image.format)
    except Exception as error:  # Pillow has a dozen exceptions for damaged files
        raise BadInput(where, f"has a damaged colour image ({error})", _GET_AGAIN) from None
    if found != size:
        raise BadInput(where, f"has colour of {found} pixels instead of {size}", _GET_AGAIN)


def decoded(blob: bytes) -> Image.Image:
    """An image of `FORMATS` in RGB, decoded. Raises what Pillow raises for damaged files."""
    return Image.open(io.BytesIO(blob), formats=FORMATS).convert("RGB")


def decode_depth(blob: bytes, size: Size, where: str, remedy: str) -> NDArray[np.uint16]:
    """Depth (H, W) from a 16-bit grey PNG file of (width, height) = `size`. Raises `BadInput`."""
    check_image_size(blob, size, where, remedy)
    with _open(blob, where, remedy) as image:
        if not image.mode.startswith("I"):
            raise BadInput(where, "is not a 16-bit grey PNG", remedy)
        try:
            values = np.asarray(ImageOps.exif_transpose(image))
            _require_whole(blob, image.format)
        except Exception as error:  # Pillow has a dozen exceptions for damaged files
            raise BadInput(where, f"is a damaged image ({error})", remedy) from None
    return values.astype(np.uint16)


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Brightness (...) in [0, 255] of colours (..., 3): the luma of ITU-R BT.601."""
    return rgb.astype(float) @ [0.299, 0.587, 0.114]


def _turn(image: Image.Image, blob: bytes) -> int:
    """The EXIF orientation of an image: 1 as stored, 5 to 8 by a quarter turn.

    Pillow decodes a PNG file to find tags behind its pixels, so it is asked only if there are any.
    """
    if image.format == "PNG" and not any(mark in blob for mark in _MAY_TURN):
        return 1
    try:
        turn = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged tags say nothing
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _require_whole(blob: bytes, kind: str | None) -> None:
    """Raise an exception for what decoders do not see: bytes that were never written, or changed.

    PNG files have checksums. JPEG files end with a marker that is not in their pixels; only those
    that end with zeros, as an interrupted copy does, are searched for it.
    """
    if kind == "PNG":
        Image.open(io.BytesIO(blob), formats=[kind]).verify()
    elif blob.endswith(bytes(16)) and blob.rfind(b"\xff\xd9") < blob.rfind(b"\xff\xda"):
        raise ValueError("it ends with zeros")


def _open(blob: bytes, where: str, remedy: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(blob), formats=FORMATS)
    except Exception:  # Pillow has a dozen exceptions for damaged files
        raise BadInput(where, "is not a JPEG, PNG or WEBP image", remedy) from None
