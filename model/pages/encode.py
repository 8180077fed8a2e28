"""Pictures as parts of a page: data URIs."""

import base64
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

_DPI = 144  # figures are shown at half of their pixels or less, and stay sharp
_COLORS = 64  # of a chart: enough for its anti-aliased letters


def chart(figure: Figure) -> str:
    """A figure as a PNG of few colours, which is small."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, facecolor="white")
    with Image.open(file, formats=["PNG"]) as image:
        return _png(image.convert("RGB").quantize(_COLORS, dither=Image.Dither.NONE))


def labels(image: NDArray[np.uint8]) -> str:
    """An image (H, W, 3) of at most 256 colours, exactly, as a PNG."""
    return _png(Image.fromarray(image).quantize(256, dither=Image.Dither.NONE))


def photo(image: NDArray[np.uint8]) -> str:
    """An image (H, W, 3) as a JPEG."""
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=82, optimize=True)
    return _uri("jpeg", file)


def _png(image: Image.Image) -> str:
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return _uri("png", file)


def _uri(kind: str, file: BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
