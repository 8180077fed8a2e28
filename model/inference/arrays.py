"""Arrays of points as they come, checked and made a cloud of the project."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import BadInput
from pipeline.geometry.clouds import whole_metres
from pipeline.geometry.extent import require_metres
from pipeline.scan import Cloud

GREY = 128


def cloud_of(xyz: ArrayLike, rgb: ArrayLike | None, normal: ArrayLike | None) -> Cloud:
    """The cloud of points `xyz` (N, 3) in metres with z up.

    `rgb` (N, 3) are integers from 0 to 255, or floats from 0 to 1; without it all points are grey,
    with a warning. `normal` (N, 3) of any length, 0 where unknown; all are unknown without it.
    Raises `BadInput` for an empty cloud and for any other shape, type or range.
    """
    points = _rows("xyz", xyz, None)
    count = len(points)
    if not count:
        raise BadInput("xyz", "has no point", "give at least one")
    offset = whole_metres(points)
    near = (points - offset).astype(np.float32)
    require_metres("xyz", near)
    return Cloud(
        xyz=near,
        rgb=_colors(rgb, count),
        normal=_normals(normal, count),
        segment=np.full(count, -1, np.int32),
        offset=offset,
    )


def _rows(name: str, values: ArrayLike, count: int | None) -> NDArray[Any]:
    """Finite numbers (N, 3), of `count` points if that is known."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError):  # ragged rows; tensors of a GPU or with gradients
        array = np.zeros(0, object)
    if np.ma.is_masked(values):
        raise BadInput(name, "has values that are masked", "leave these points out")
    wanted = "(N, 3)" if count is None else f"({count}, 3)"
    if array.dtype.kind not in "fiu":
        raise BadInput(name, "is no array of numbers", f"give one of shape {wanted}")
    if array.ndim != 2 or array.shape[1] != 3 or count not in (None, len(array)):
        raise BadInput(name, f"has the shape {array.shape}", f"give one of shape {wanted}")
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        what = f"is not finite in {np.count_nonzero(~finite):,} of {len(array):,} points"
        raise BadInput(name, what, "leave these points out")
    return array


def _colors(rgb: ArrayLike | None, count: int) -> NDArray[np.uint8]:
    if rgb is None:
        warnings.warn("no colours are given; all points become grey.", stacklevel=4)
        return np.full((count, 3), GREY, np.uint8)
    array = _rows("rgb", rgb, count)
    low, high = array.min(), array.max()
    if array.dtype.kind == "f":
        if low < 0 or high > 1:
            what = f"has floats from {low:g} to {high:g}"
            raise BadInput("rgb", what, "give floats from 0 to 1, or integers from 0 to 255")
        array = np.rint(array * 255)
    elif low < 0 or high > 255:
        raise BadInput("rgb", f"has integers from {low} to {high}", "give them from 0 to 255")
    if array.max() <= 1:  # shares of white that became integers, or colours that nobody stored
        warnings.warn(
            "rgb: all points are black (0 or 1 of 255); give integers from 0 to 255, or floats "
            "from 0 to 1.",
            stacklevel=4,
        )
    return array.astype(np.uint8)


def _normals(normal: ArrayLike | None, count: int) -> NDArray[np.float32]:
    if normal is None:
        return np.zeros((count, 3), np.float32)
    array = _rows("normal", normal, count).astype(np.float64)
    length = np.linalg.norm(array, axis=1, keepdims=True)
    length[np.abs(length - 1) < 1e-6] = 1  # a unit vector stays the same bits
    unit = np.divide(array, length, out=np.zeros_like(array), where=length > 0)
    return unit.astype(np.float32)
