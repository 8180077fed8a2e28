"""`info.txt`, in which BundleFusion, 12-Scenes and ScanNet's recorder write the camera.

    m_colorWidth = 1296   m_depthShift = 1000
    m_calibrationColorIntrinsic = fx 0 cx 0 0 fy cy 0 0 0 1 0 0 0 0 1

and the same for depth; 3RScan calls the file `_info.txt`.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.geometry.cameras import scale_intrinsics
from pipeline.readers.folder.values import (
    FIX,
    MAX_SIDE,
    Array,
    Size,
    checked_intrinsics,
    numbers,
    read_text,
)

NAMES = ("info.txt", "_info.txt")
_WHAT = {"Color": "colour", "Depth": "depth"}


@dataclass(frozen=True)
class Info:
    """The camera of a recording; both intrinsics (3, 3) are for images of `size`."""

    color: Array
    depth: Array
    size: Size
    depth_scale: float  # metres = depth / depth_scale


def read_info(path: Path) -> Info:
    """The camera in an `info.txt`. Raises `BadInput` where it is not there, or cannot be."""
    values = {}
    for line in read_text(path).splitlines():
        name, _, value = line.partition("=")
        values[name.strip()] = value.split()
    sizes = {kind: _size(values, kind, path) for kind in _WHAT}
    cameras = {kind: _matrix(values, f"{kind}Intrinsic", path) for kind in _WHAT}
    for kind in _WHAT:
        known = values.get(f"m_calibration{kind}Extrinsic")
        if known and not np.allclose(_matrix(values, f"{kind}Extrinsic", path), np.eye(4)):
            what = f"has {_WHAT[kind]} beside the camera (m_calibration{kind}Extrinsic)"
            warnings.warn(f"{path}: {what}, which is not corrected.", stacklevel=2)
    color, depth = (checked_intrinsics(cameras[kind][:3, :3], path) for kind in _WHAT)
    depth = scale_intrinsics(depth, sizes["Depth"], sizes["Color"])
    (scale,) = numbers(values.get("m_depthShift", [1000]), (1,), path, "m_depthShift")
    if not (np.isfinite(scale) and scale > 0):
        raise BadInput(path, f"has the depth shift {scale:g}", FIX)
    return Info(color, depth, sizes["Color"], float(scale))


def _size(values: Mapping[str, list[str]], kind: str, path: Path) -> Size:
    prefix = f"m_{kind.lower()}"
    said = [values.get(prefix + side, [""])[0] for side in ("Width", "Height")]
    if not all(n.isascii() and n.isdecimal() and 0 < int(n) <= MAX_SIDE for n in said):
        what = f"has no {prefix}Width and {prefix}Height in pixels"
        raise BadInput(path, what, FIX)
    return int(said[0]), int(said[1])


def _matrix(values: Mapping[str, list[str]], name: str, path: Path) -> Array:
    key = f"m_calibration{name}"
    return numbers(values.get(key), (16,), path, f"{key}, a 4 x 4 matrix").reshape(4, 4)
