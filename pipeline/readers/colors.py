"""Colours of points in whatever numbers and under whatever names programs write them.

The range over all points decides what the numbers mean, since number types do not:

    integers   up to 255 are bytes, up to 65535 are 16 bits
    floats     up to 1 are shares of white; up to 255, or all whole, they are read as integers are

So the few files that are so dark that two readings are possible are read as the first that fits.
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput

SAVE = "save the cloud with red, green and blue of 0 to 255 as uchar"
GREY = 128  # of points without a colour

_CHANNELS = (("red", "green", "blue"), ("r", "g", "b"))
_PREFIX = re.compile(r"^(?:diffuse|scalar|vertex|point|colou?r)_*(?=.)")
_PACKED = ("rgb", "rgba")
_BRIGHTNESS = ("intensity", "gray", "grey", "luminance", "reflectance", "reflectivity")
_TWELVE_BITS = 4095
_SPLATS = ("f_dc_0", "f_dc_1", "f_dc_2")  # of Gaussian splats, by the mean of their harmonics
_MEAN = 0.5 / np.sqrt(np.pi)  # of the spherical harmonic of degree 0
_OVER = 1e-3  # share of the range by which floats exceed it for rounding alone
_SPREAD = (2, 98)  # percentiles of an intensity that become black and white

Columns = Mapping[str, NDArray[Any]]


def read_colors(columns: Columns, path: Path) -> NDArray[np.uint8]:
    """Colours (N, 3) of points, from their columns (N,) by name.

    Three columns by name in any case, `red` or `R`, also `diffuse_red` or `scalar_R`; or the one
    column `rgb` or `rgba` of the Point Cloud Library; or those of Gaussian splats; or brightness,
    such as `intensity`. Without any, or if all are 0, all points become grey. Warns where colours
    are none or a guess. Raises `BadInput` where numbers are out of range.
    """
    if three := _three(columns):
        values = np.stack([columns[name] for name in three], 1)
        if values.any():
            return to_bytes(values, path, ", ".join(three))
    if columns.keys() >= set(_SPLATS):
        shares = 0.5 + _MEAN * np.stack([columns[name] for name in _SPLATS], 1)
        return to_bytes(np.where(np.isfinite(shares), shares.clip(0, 1), np.nan), path)
    simple = {_simple(name): name for name in columns}
    for name in _PACKED:
        if name in simple:
            return _unpacked(columns[simple[name]], path, simple[name])
    for name in _BRIGHTNESS:
        if name in simple:
            shown = simple[name]
            warnings.warn(f"{path}: has no colours; {shown} becomes shades of grey.", stacklevel=2)
            return np.repeat(_stretched(columns[shown])[:, None], 3, 1)
    warnings.warn(f"{path}: has no colours; all points become grey.", stacklevel=2)
    return np.full((len(next(iter(columns.values()))), 3), GREY, np.uint8)


def to_bytes(values: NDArray[Any], path: Path, name: str = "its colours") -> NDArray[np.uint8]:
    """Colours (N, 3) or (N, 4) of any number type, as bytes of the same shape.

    `name` is what messages call them. A colour that is no number becomes grey, with a warning.
    Raises `BadInput` for numbers that are negative or beyond 65535.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.int8:  # `char` of a writer that meant `uchar`
        return values.view(np.uint8)
    if values.dtype.kind not in "iuf":
        raise BadInput(path, f"has lists in {name}", SAVE)
    known = np.isfinite(values)
    if not known.all():
        count = np.count_nonzero(~known.all(axis=1))
        warnings.warn(f"{path}: {count:,} points have no colour and become grey.", stacklevel=3)
    if not known.any():
        return np.full(values.shape, GREY, np.uint8)
    low, high = float(values.min(where=known, initial=0)), float(values.max(where=known, initial=0))
    whole = values.dtype.kind != "f" or bool((values[known] == np.rint(values[known])).all())
    top = _top(low, high, whole, values.dtype.kind == "f")
    if top is None:
        raise BadInput(path, f"has {name} from {low:g} to {high:g}", SAVE)
    if top == 65535:
        if high <= _TWELVE_BITS:
            what = f"{name} up to {high:g} are read as 16 bits, and are dark; check the range"
            warnings.warn(f"{path}: {what}.", stacklevel=3)
        if whole and not (values[known].astype(np.int64) % 256).any():
            top = 255 * 256  # bytes that were shifted, not stretched
    scaled = np.where(known, values, 0).clip(0, top) * (255 / top)
    return np.where(known.all(axis=1, keepdims=True), np.rint(scaled), GREY).astype(np.uint8)


def _top(low: float, high: float, whole: bool, is_float: bool) -> int | None:
    """The number of full brightness of colours from `low` to `high`; None where there is none."""
    if is_float and high <= (1 + _OVER if whole else 2):  # some programs exceed 1 a little
        top = 1
    elif high < 256:
        top = 255
    else:
        top = 65535
    return top if low >= -_OVER * top and high <= top * (2 if top == 1 else 1 + _OVER) else None


def _three(columns: Columns) -> tuple[str, str, str] | None:
    """The names of red, green and blue, of several those with the plainest names."""
    for simplify in (str, str.lower, _simple):
        names: dict[str, str] = {}
        for name in columns:
            names.setdefault(simplify(name), name)
        for red, green, blue in _CHANNELS:
            if red in names and green in names and blue in names:
                return names[red], names[green], names[blue]
    return None


def _simple(name: str) -> str:
    """A name of a column without what programs put before it: scalar_R -> r."""
    return _PREFIX.sub("", name.lower()).strip("_")


def _unpacked(values: NDArray[Any], path: Path, name: str) -> NDArray[np.uint8]:
    """Colours (N, 3) from 0xRRGGBB, with or without alpha above, as integers or their bits."""
    if values.dtype.kind == "f":
        known = np.isfinite(values)
        whole = known.all() and bool((values == np.rint(values)).all() and (values >= 0).all())
        if whole and 1 <= values.max() < 2**32:  # a number, not its bits
            values = values.astype(np.uint32)
        else:
            values = np.ascontiguousarray(values, np.float32).view(np.uint32)
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 4:
        raise BadInput(path, f"has {name} that is not 0xRRGGBB", SAVE)
    bits = values.astype(np.int64) & 0xFFFFFF
    return np.stack([bits >> 16, bits >> 8 & 255, bits & 255], 1).astype(np.uint8)


def _stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Brightness (N,) of any unit; bytes stay, and else nearly all points share the whole range."""
    if values.dtype == np.uint8:
        return values
    values = values.astype(np.float64)
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), GREY, np.uint8)
    low, high = np.percentile(values[known], _SPREAD)
    if high <= low:
        return np.full(len(values), GREY, np.uint8)
    share = (np.where(known, values, low) - low) / (high - low)
    return np.rint(255 * share.clip(0, 1)).astype(np.uint8)
