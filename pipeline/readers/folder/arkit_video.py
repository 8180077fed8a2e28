"""Images that were extracted from a video of ARKit: their numbers, and the size of intrinsics.

They may be smaller than the video that they are from; the principal point is near the middle.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder.pairing import numbers_in
from pipeline.readers.folder.recording import common_size
from pipeline.readers.folder.values import Array, Size
from pipeline.readers.folder.views import Blob

SIZES = ((1920, 1440), (1920, 1080), (1280, 720), (3840, 2160), (1440, 1080), (640, 480))
_ALL = 0.9  # of the frames: some programs drop the last ones
_NEAR = 0.1  # of its side, from twice the principal point


def require_numbers_of_video(
    images: Mapping[str, Path], depth: Mapping[str, Path], remedy: str
) -> None:
    """Raise `BadInput` where images may have been numbered anew, and not as frames of the video.

    Each tenth frame, say, that ffmpeg extracts gets the numbers 1, 2, 3, so that poses and depth of
    the first frames would be taken for it.
    """
    numbers, deep = ({numbers_in(n)[-1] for n in names} for names in (images, depth))
    anew = max(numbers) - min(numbers) == len(numbers) - 1 and len(numbers) < _ALL * len(deep)
    if anew or min(numbers) < min(deep) or max(numbers) > max(deep):
        what = (
            f"has images {min(numbers)} to {max(numbers)} beside depth {min(deep)} to {max(deep)}"
        )
        raise BadInput(next(iter(images.values())).parent, what, remedy)


def size_of_intrinsics(camera: Array, images: Sequence[Blob], where: Path) -> Size:
    """The (width, height) of the images of `camera` (3, 3): that of `images`, or of the video.

    Raises `BadInput` where the principal point is in the middle of neither.
    """
    found = common_size(images)
    twice = 2 * camera[:2, 2] + 1
    for size in (found, *SIZES):
        if (abs(twice / size - 1) < _NEAR).all():
            return size
    x, y = np.round(camera[:2, 2], 1).tolist()
    what = f"has the principal point ({x}, {y}), not the middle of images of {found} pixels"
    raise BadInput(where, what, "give intrinsics of the images as they are")
