"""Depth images in any file format, recognised by their first bytes: PNG, PGM, TIFF, NPY, EXR."""

import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import BadInput
from pipeline.images import decode_depth, image_size
from pipeline.readers.folder.depth import decode_exr, exr_size, millimetres
from pipeline.readers.folder.values import FIX, MAX_SIDE

Size = tuple[int, int]

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_EXR = b"\x76\x2f\x31\x01"
_NPY = b"\x93NUMPY"
_PGM = re.compile(rb"P5" + 3 * rb"(?:\s+#[^\n]*)*\s+([0-9]{1,5})" + rb"\s")
_NO_DEPTH = 65_000.0  # from here on floats say "nothing": 1e10 of renderers, 65535, 65504
_FARTHEST = 50.0  # metres: the median of what any camera measures is nearer, and over 5 cm


def depth_size(blob: bytes, where: str) -> Size:
    """(width, height) of a depth image, from its header. Raises `BadInput`."""
    if blob.startswith(_EXR):
        return exr_size(blob, where)
    if blob.startswith(_NPY):
        shape = _npy_header(blob, where)[0]
        return shape[1], shape[0]
    if blob.startswith(_TIFF):
        with _tiff(blob, where) as image:
            return image.size
    if match := _PGM.match(blob):
        return int(match[1]), int(match[2])
    return image_size(blob, where, FIX)


def in_millimetres(blob: bytes, where: str) -> bool:
    """Whether a file has floats, which `decode` returns in millimetres whatever the layout says.

    Raises `BadInput`.
    """
    if blob.startswith(_NPY):
        return _npy_header(blob, where)[1].kind == "f"
    if blob.startswith(_TIFF):
        with _tiff(blob, where) as image:
            return image.mode == "F"
    return blob.startswith(_EXR)


def decode(blob: bytes, size: Size, where: str) -> NDArray[np.uint16]:
    """Depth (H, W) of an image of (width, height) = `size`, 0 where nothing was measured.

    Integers are as in the file. Floats are metres, or millimetres if most are over 50, and become
    millimetres; from 65,000 on they are not measured. Raises `BadInput`.
    """
    if blob.startswith(_EXR):
        return decode_exr(blob, size, where)
    if not blob.startswith((_NPY, b"P5", *_TIFF)):
        return decode_depth(blob, size, where, FIX)
    if (found := depth_size(blob, where)) != size:
        raise BadInput(where, f"is an image of {found} pixels, not of {size}", FIX)
    try:
        values = _values(blob, where)
    except BadInput:
        raise
    except Exception as error:  # the libraries have a dozen exceptions for damaged files
        raise BadInput(where, f"is a damaged image ({error})", FIX) from None
    if values.shape != size[::-1] or values.dtype.kind not in "fiu":
        raise BadInput(where, "does not contain one number per pixel", FIX)
    if values.dtype.kind != "f":
        return np.where((values > 0) & (values < 65536), values, 0).astype(np.uint16)
    with np.errstate(invalid="ignore"):
        values = np.where((values > 0) & (values < _NO_DEPTH), values, 0)
    measured = values[values > 0]
    is_metres = not len(measured) or np.median(measured) <= _FARTHEST
    return millimetres(values if is_metres else values / 1000)


def _values(blob: bytes, where: str) -> NDArray[Any]:
    if blob.startswith(_NPY):
        return np.squeeze(np.load(io.BytesIO(blob), allow_pickle=False))
    if match := _PGM.match(blob):
        kind = ">u2" if int(match[3]) > 255 else "u1"
        return np.frombuffer(blob[match.end() :], kind).reshape(int(match[2]), int(match[1]))
    with _tiff(blob, where) as image:
        return np.asarray(image)


def _npy_header(blob: bytes, where: str) -> tuple[tuple[int, int], np.dtype[Any]]:
    """(height, width) and type, of an array with one channel. Raises `BadInput`."""
    try:
        file = io.BytesIO(blob)
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, kind = read(file)
        sides = [side for side in shape if side != 1]
        if len(sides) != 2 or not all(0 < side <= MAX_SIDE for side in sides):
            raise ValueError(f"its shape is {shape}")
        if len(blob) - file.tell() < sides[0] * sides[1] * kind.itemsize:
            raise ValueError("it is cut off")
    except Exception as error:  # numpy has several exceptions for damaged headers
        raise BadInput(where, f"is no array of a depth image ({error})", FIX) from None
    return (sides[0], sides[1]), kind


def _tiff(blob: bytes, where: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(blob), formats=["TIFF"])
    except Exception:  # Pillow has a dozen exceptions for damaged files
        raise BadInput(where, "is not a readable TIFF image", FIX) from None
    if not (image.mode.startswith("I") or image.mode == "F"):
        raise BadInput(where, "is not a TIFF image of one 16-bit or float number per pixel", FIX)
    return image
