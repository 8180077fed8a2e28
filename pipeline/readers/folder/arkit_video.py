"""Which size of image intrinsics of ARKit belong to, where the file does not say it.

The images may be smaller than the video that they are from; the principal point is near the middle.
"""

from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.images import image_size
from pipeline.readers.folder.recording import Blob, content
from pipeline.readers.folder.values import FIX, Array, Size

SIZES = ((1920, 1440), (1920, 1080), (1280, 720), (3840, 2160), (1440, 1080), (640, 480))
_NEAR = 0.1  # of its side, from twice the principal point


def size_of_intrinsics(camera: Array, image: Blob, where: Path) -> Size:
    """The (width, height) of the images of `camera` (3, 3): that of `image`, or of the video.

    Raises `BadInput` where the principal point is in the middle of neither.
    """
    found = image_size(content(image), str(image), FIX)
    twice = 2 * camera[:2, 2] + 1
    for size in (found, *SIZES):
        if (abs(twice / size - 1) < _NEAR).all():
            return size
    x, y = np.round(camera[:2, 2], 1).tolist()
    what = f"has the principal point ({x}, {y}), not the middle of images of {found} pixels"
    raise BadInput(where, what, "give intrinsics of the images as they are")
