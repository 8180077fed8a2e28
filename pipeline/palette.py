"""Colours of classes: those that are given, and distinct ones for the rest."""

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_GOLDEN = 0.618034  # turn of the hue by which successive colours differ, however many there are
_LIGHTNESS = (0.5, 0.65, 0.35)
_SATURATION = 0.7


def palette(classes: Sequence[str], colors: Mapping[str, str] | None = None) -> NDArray[np.uint8]:
    """Colours (K, 3) of classes: `colors` (`#aec7e8`) by name, and distinct ones for the rest."""
    known = colors or {}
    return np.array(
        [
            list(bytes.fromhex(known[name].removeprefix("#"))) if name in known else _own(index)
            for index, name in enumerate(classes)
        ],
        np.uint8,
    ).reshape(-1, 3)


def _own(index: int) -> list[int]:
    hue, lightness = index * _GOLDEN % 1, _LIGHTNESS[index % len(_LIGHTNESS)]
    return [round(255 * part) for part in colorsys.hls_to_rgb(hue, lightness, _SATURATION)]
