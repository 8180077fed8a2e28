"""A camera as JSON, as Open3D and Replica have it.

    {"width": 640, "height": 480, "intrinsic_matrix": [...]}, column by column, of Open3D
    {"camera": {"w": 1200, "h": 680, "fx": .., "fy": .., "cx": .., "cy": .., "scale": 6553.5}}

How many units of depth are a metre is its `depth_scale`, `scale` or `png_depth_scale`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder.values import (
    Array,
    Size,
    checked_intrinsics,
    image_size_in,
    numbers,
    pinhole,
    read_json,
)

PATTERN = r"(?!pose_)(?![^/]*trajectory)[^/]*(?:intrinsic|camera|cam_params)[^/]*\.json"

_SCALES = ("depth_scale", "scale", "png_depth_scale")
_KEYS = {"intrinsic_matrix", "fx"}
_LAST_ROW = [0.0, 0.0, 1.0]


@dataclass(frozen=True)
class CameraFile:
    """What the file says, None where it does not."""

    intrinsics: Array  # (3, 3)
    size: Size | None  # (width, height) of the images that they are of
    depth_scale: float | None  # units of depth in a metre


def camera_names(names: Iterable[str]) -> list[str]:
    """The names of files in the scan's folder that are such a camera, sorted."""
    return sorted(name for name in names if re.fullmatch(PATTERN, name, re.I))


def camera_in(files: Mapping[str, Path]) -> CameraFile | None:
    """The one camera among the files of a scan, None where there is none.

    Files that are called so and are no camera (a program's settings) are passed over, unless they
    claim to have intrinsics. Raises `BadInput` where there are several.
    """
    named = camera_names(files)
    known = [name for name in named if _KEYS & _values(files[name]).keys()]
    chosen = known or [name for name in named if "intrinsic" in name.lower()]
    if len(chosen) > 1:
        what = f"is one of {len(chosen)} cameras, as is {chosen[1]}"
        raise BadInput(files[chosen[0]], what, "keep only one of them")
    return read_camera(files[chosen[0]]) if chosen else None


def read_camera(path: Path) -> CameraFile:
    """The camera in a JSON file. Raises `BadInput`."""
    values = _values(path)
    if "intrinsic_matrix" in values:
        flat = numbers(values["intrinsic_matrix"], (9,), path, "an intrinsic_matrix of 3 x 3")
        matrix = flat.reshape(3, 3)
        matrix = matrix if matrix[2].tolist() == _LAST_ROW else matrix.T
    else:
        given = [values.get(name) for name in ("fx", "fy", "cx", "cy")]
        matrix = pinhole(*numbers(given, (4,), path, "an intrinsic_matrix, or fx, fy, cx and cy"))
    sides = [pair for pair in (("width", "height"), ("w", "h")) if set(pair) & values.keys()]
    size = image_size_in(values, *sides[0], path) if sides else None
    name = next((name for name in _SCALES if name in values), None)
    return CameraFile(
        checked_intrinsics(matrix, path), size, None if name is None else _scale(values[name], path)
    )


def _values(path: Path) -> dict[str, Any]:
    values = read_json(path)
    return values["camera"] if isinstance(values.get("camera"), dict) else values


def _scale(value: object, path: Path) -> float:
    (scale,) = numbers([value], (1,), path, "a scale of depth")
    if not (scale > 0 and np.isfinite(scale)):
        raise BadInput(path, f"has the scale {scale:g}", "give the units of depth in a metre")
    # RealSense's cameras say 1000.0000475.
    return float(round(scale)) if abs(scale - round(scale)) < 1e-6 * scale else float(scale)
