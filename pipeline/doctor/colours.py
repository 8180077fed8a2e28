"""Whether colour belongs to depth and poses: the same spot looks alike in several frames."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.doctor.views import Array, Sample, thin
from pipeline.geometry.pairs import share
from pipeline.images import luma

_CLEARLY = 0.6  # of what brightness differs: at most this share is left with a better reading
_FRAMES = 0.8  # share of the frames that must show it
_PIXELS = 400  # of a frame
_FEWEST = 50  # spots of a frame
_SAME = 0.03  # share of the depth within which two pixels are taken to see the same spot

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Colour:
    """Another way to read the colour images."""

    what: str
    remedy: str
    shift: int = 0  # frames that colour is later than depth and pose
    turn: Callable[[Image], Image] = lambda image: image


_TIMES = "export the recording again with matched times, or rename the colour images"
_TURNS = "turn the colour images so that they show what depth shows"
AS_GIVEN = Colour("", "")
OTHERS = (
    Colour(
        "colour looks upside down against depth (turned by 180 degrees)",
        _TURNS,
        turn=lambda image: image[::-1, ::-1],
    ),
    Colour("colour looks mirrored left to right against depth", _TURNS, turn=lambda i: i[:, ::-1]),
    Colour("colour looks mirrored top to bottom against depth", _TURNS, turn=lambda i: i[::-1]),
    *(
        Colour(
            f"colour looks out of step with depth and poses: it fits those of the frame {word} it",
            _TIMES,
            shift,
        )
        for shift, word in ((-1, "after"), (1, "before"))
    ),
)


def misread(sample: Sample) -> Colour | None:
    """The way to read colour with which brightness fits clearly better, None if as given."""
    if len(sample.places) < 2:
        return None
    spots = _spots(sample)
    given = 1 - _likeness(sample, spots, AS_GIVEN)
    best, least = None, _CLEARLY
    for other in OTHERS:
        if other.shift and not sample.has_neighbours:
            continue
        ratio = (1 - _likeness(sample, spots, other)) / given
        known = ratio[np.isfinite(ratio)]
        if known.size and (left := float(np.quantile(known, _FRAMES))) <= least:
            best, least = other, left
    return best


@dataclass(frozen=True)
class _Spots:
    """Spots (S,) that two frames see, each with its place (S, 2) in their colour images."""

    frame: tuple[NDArray[np.intp], NDArray[np.intp]]
    uv: tuple[Array, Array]


def _spots(sample: Sample) -> _Spots:
    views = [thin(view) for view in sample.at()]
    found = share(views, _PIXELS)
    same = np.flatnonzero(abs(np.log(found.depth / found.xyz[:, 2])) < _SAME)
    own, other = found.own[found.pixel[same]], found.frame[same]
    k = np.stack([view.color_intrinsics for view in views])

    def places(frame: NDArray[np.intp], xyz: Array) -> Array:
        uv: Array = np.einsum("sij,sj->si", k[frame, :2], xyz / xyz[:, 2:])
        return uv

    uv = places(own, found.source[found.pixel[same]]), places(other, found.xyz[same])
    return _Spots((own, other), uv)


def _likeness(sample: Sample, spots: _Spots, colour: Colour) -> Array:
    """For each frame (F,) the correlation of its brightness with that of the same spots in other
    frames; NaN where too few spots are shared."""
    images = [luma(colour.turn(view.color)) for view in sample.at(colour.shift)]
    pairs = zip(spots.frame, spots.uv, strict=True)
    mine, theirs = (_brightness(images, frame, uv) for frame, uv in pairs)
    known, found = np.isfinite(mine) & np.isfinite(theirs), []
    for i in range(len(images)):
        of = known & (spots.frame[0] == i)
        enough = of.sum() > _FEWEST and min(np.std(mine[of]), np.std(theirs[of])) > 0
        found.append(np.corrcoef(mine[of], theirs[of])[0, 1] if enough else np.nan)
    return np.array(found)


def _brightness(images: Sequence[NDArray[Any]], frame: NDArray[np.intp], uv: Array) -> Array:
    """The brightness (S,) of images of one size at pixels (S, 2), NaN outside."""
    height, width = images[0].shape
    column, row = np.rint(uv).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    value = np.full(len(uv), np.nan)
    value[inside] = np.stack(images)[frame[inside], row[inside], column[inside]]
    return value
