"""Whether colour belongs to depth and poses: the same spot looks alike in several frames."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.doctor.judge import Reference
from pipeline.doctor.views import Array, Sample, luminance, pixels
from pipeline.geometry.cameras import transform

_CLEARLY = 0.6  # of what brightness differs: at most this share is left with a better reading
_FRAMES = 0.8  # share of the frames that must show it
_PIXELS = 1500  # of a frame
_NEAR = 0.06  # metres within which two pixels are taken to see the same spot

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


def misread(sample: Sample, reference: Reference | None) -> Colour | None:
    """The way to read colour with which brightness fits clearly better, None if as given."""
    if reference is None and len(sample.places) < 2:
        return None
    given = 1 - likeness(sample, reference, AS_GIVEN)
    if not np.isfinite(given).any():
        return None
    best, least = None, _CLEARLY
    for other in OTHERS:
        if other.shift and not sample.has_neighbours:
            continue
        ratio = (1 - likeness(sample, reference, other)) / given
        known = ratio[np.isfinite(ratio)]
        if known.size and (left := float(np.quantile(known, _FRAMES))) <= least:
            best, least = other, left
    return best


def likeness(sample: Sample, reference: Reference | None, colour: Colour) -> Array:
    """For each frame (F,) the correlation of its brightness with that of the same spots in the
    reference or in other frames; NaN where too few spots are shared."""
    seen = []
    for view, later in zip(sample.at(), sample.at(colour.shift), strict=True):
        xyz, uv = pixels(view, _PIXELS)
        inside, grey = luminance(replace(later, color=colour.turn(later.color)), uv)
        seen.append((transform(view.camera_to_world, xyz)[inside], grey[inside]))
    if reference is None:
        trees = _others([xyz for xyz, _ in seen])
        greys = [grey for _, grey in seen]
        others = [(tree, np.concatenate([greys[i] for i in chosen])) for tree, chosen in trees]
    else:
        others = [(reference.tree, reference.grey)] * len(seen)
    found = []
    for (xyz, grey), (tree, known) in zip(seen, others, strict=True):
        distance, nearest = tree.query(xyz, distance_upper_bound=_NEAR)
        near = np.isfinite(distance)
        pair = grey[near], known[nearest[near]]
        enough = near.sum() > 50 and min(map(np.std, pair)) > 0
        found.append(np.corrcoef(*pair)[0, 1] if enough else np.nan)
    return np.array(found)


def _others(clouds: Sequence[Array]) -> list[tuple[cKDTree, list[int]]]:
    """For each cloud (P, 3) a tree of all others, and their indices."""
    chosen = [[j for j in range(len(clouds)) if j != i] for i in range(len(clouds))]
    return [(cKDTree(np.concatenate([clouds[j] for j in js])), js) for js in chosen]
