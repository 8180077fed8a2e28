"""The errors of a hand-held structured-light camera: noise, holes, JPEG.

Depth follows the disparity model of such sensors (Khoshelham and Elberink, Sensors 2012; Handa et
al., ICRA 2014): the projector's pattern is matched in steps of disparity, so error and resolution
grow with the square of the depth.
"""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

DEPTH_SCALE = 1000.0  # depth units in a metre
_NEAREST, _FARTHEST = 0.35, 5.0  # metres
_STEP = 0.003  # metres of depth per step of disparity at 1 m: 0.5 mm at 0.4 m, 27 mm at 3 m
_NOISE = 0.4  # standard deviation, in steps
_JITTER = 0.4  # pixels: randomises which side of an edge a pixel near it sees
_JUMP = 0.06  # relative change of depth between neighbours at an edge
_LOST_AT_EDGE = 0.5  # share of the pixels along an edge
_GRAZING = (3.0, 8.0)  # tangent of the viewing angle: losses begin, and are complete
_JPEG_QUALITY = 90


def depth_intrinsics(
    color: NDArray[np.floating], color_size: tuple[int, int], depth_size: tuple[int, int]
) -> NDArray[np.float64]:
    """Intrinsics (3, 3) of the depth that is registered to the colour, sizes as (width, height).

    As in ScanNet: focal lengths scale by the sizes, the principal point by the sizes less one.
    """
    k = np.array(color, np.float64)
    for axis in range(2):
        k[axis, axis] *= depth_size[axis] / color_size[axis]
        k[axis, 2] *= (depth_size[axis] - 1) / (color_size[axis] - 1)
    return k


def measure_depth(
    depth: NDArray[np.floating],
    intrinsics: NDArray[np.floating],
    rng: np.random.Generator,
    blob: bool = False,
) -> NDArray[np.uint16]:
    """The measured depth (h, w) in millimetres, 0 = none, for true z-depth in metres.

    `depth` (h, w) is 0 without a surface. With `blob` a round region is lost as well, as on black
    or shiny things.
    """
    h, w = depth.shape
    row, column = np.indices(depth.shape)
    jitter = np.rint(rng.normal(0.0, _JITTER, (2, h, w))).astype(np.int64)
    seen = depth[np.clip(row + jitter[0], 0, h - 1), np.clip(column + jitter[1], 0, w - 1)]
    valid = (seen > _NEAREST) & (seen < _FARTHEST)
    seen = np.where(valid, seen, 1.0)

    disparity = 1.0 / (_STEP * seen)
    measured = 1.0 / (_STEP * np.rint(disparity + rng.normal(0.0, _NOISE, (h, w))))

    edge, slope = _relief(depth, intrinsics)
    begin, end = _GRAZING
    chance = np.maximum(_LOST_AT_EDGE * edge, (slope - begin) / (end - begin))
    valid &= rng.random((h, w)) >= chance
    if blob:
        centre, radius = rng.uniform(0.2, 0.8, 2) * (h, w), rng.uniform(0.08, 0.15) * h
        valid &= (row - centre[0]) ** 2 + (column - centre[1]) ** 2 > radius**2
    return np.where(valid, np.rint(measured * DEPTH_SCALE), 0).astype(np.uint16)


def photograph(color: NDArray[np.uint8], rng: np.random.Generator) -> bytes:
    """A JPEG file of the picture (h, w, 3), slightly blurred, vignetted, tinted and noisy."""
    blurred = Image.fromarray(color).filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8)))
    h, w = color.shape[:2]
    y, x = np.linspace(-1, 1, h)[:, None], np.linspace(-1, 1, w)[None, :]
    vignette = 1.0 - rng.uniform(0.03, 0.08) * (x**2 + y**2)
    gain = rng.normal(1.0, 0.03) + rng.normal(0.0, 0.01, 3)
    noise = rng.standard_normal(color.shape, np.float32) * np.float32(rng.uniform(1.5, 3.0))
    light = np.asarray(blurred, np.float32) * (vignette[..., None] * gain).astype(np.float32)
    image = Image.fromarray(np.clip(np.rint(light + noise), 0, 255).astype(np.uint8))
    file = BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


def _relief(
    depth: NDArray[np.floating], intrinsics: NDArray[np.floating]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether a pixel is at an edge of depth, and the tangent of its surface's slant (h, w)."""
    z = np.where(depth > 0, depth, np.inf)
    edge, slant = np.zeros(depth.shape, bool), np.zeros(depth.shape)
    for axis, focal in ((0, intrinsics[1, 1]), (1, intrinsics[0, 0])):
        with np.errstate(invalid="ignore"):
            change = np.abs(np.expm1(np.diff(np.log(z), axis=axis)))
        change = np.nan_to_num(change, nan=0.0, posinf=1.0)
        both = np.pad(change, [(1, 1) if a == axis else (0, 0) for a in range(2)], mode="edge")
        before, after = np.delete(both, -1, axis), np.delete(both, 0, axis)
        edge |= np.maximum(before, after) > _JUMP
        # A silhouette is steep on one side only; the flatter side is the surface itself.
        slant = np.hypot(slant, np.minimum(before, after) * focal)
    return edge, slant
