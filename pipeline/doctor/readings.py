"""How poses, cameras and times may have been meant, and which of these the images agree on.

A reading is judged by what it makes of the same surfaces in several frames: right, and pixels of
different frames fall upon one another, or upon the points of the scan; wrong, and they scatter.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from pipeline.doctor.views import Array, Sample, View, in_world, luminance, pixels
from pipeline.images import luma
from pipeline.scan import Cloud

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # its camera axes: x right, y up, looking along -z
MOST = 0.01  # metres, and as a share of the depth: what agrees so well is not doubted
CLEARLY = 0.6  # another reading is believed if it leaves at most so much of the disagreement
_FRAMES = 0.8  # of the frames must show it, if colour is to be of another time
# Of the pixels: more may be seen in one frame alone, and fewer all be of a floor, which lies on
# itself whichever way the camera turns.
_QUANTILES = 0.4, 0.7
_ASKED, _HELD = 400, 2500  # pixels of a frame that look for a neighbour, and that may be one
_POINTS = 500_000
_NEAR = 0.06  # metres within which two pixels are taken to see the same spot


@dataclass(frozen=True)
class Reading:
    """One way to read the files."""

    looks: str  # what is wrong, if it is the right one
    remedy: str
    pose: Callable[[Array], Array] = lambda pose: pose
    shift: int = 0  # frames by which depth is later than its pose


AS_GIVEN = Reading("", "")
READINGS = (
    Reading(
        "the poses look like world-to-camera matrices: inverted, the frames agree",
        "invert them, since camera-to-world is read here",
        lambda pose: np.asarray(np.linalg.inv(pose)),
    ),
    Reading(
        "the poses look like those of cameras with OpenGL's axes (y up, looking along -z)",
        "multiply each from the right by diag(1, -1, -1, 1)",
        lambda pose: pose @ OPENGL,
    ),
    Reading(
        "the poses look like world-to-camera matrices of cameras with OpenGL's axes",
        "multiply each from the left by diag(1, -1, -1, 1), and invert it",
        lambda pose: np.asarray(np.linalg.inv(OPENGL @ pose)),
    ),
    *(
        Reading(
            f"depth looks out of step with colour and poses: it fits those of the frame {word} it",
            "export the recording again with matched times, or rename the depth images",
            shift=shift,
        )
        for shift, word in ((1, "before"), (-1, "after"))
    ),
)


class Reference:
    """The points of a scan that do not come from its images."""

    def __init__(self, cloud: Cloud) -> None:
        every = -(-len(cloud.xyz) // _POINTS)
        self.tree = cKDTree(cloud.xyz[::every].astype(float))
        self.grey = luma(cloud.rgb[::every])


def disagreement(sample: Sample, reference: Reference | None, reading: Reading) -> Array:
    """Metres (2,) within which 4 and 7 of 10 pixels have a point of the reference, or a pixel of
    another frame, if the files are read so."""
    views = _shifted(sample, reading.shift)
    asked = [in_world(view, pixels(view, _ASKED)[0], reading.pose) for view in views]
    if reference is not None:
        distance = [reference.tree.query(xyz)[0] for xyz in asked]
    else:
        held = [in_world(view, pixels(view, _HELD)[0], reading.pose) for view in views]
        distance = [tree.query(xyz)[0] for xyz, (tree, _) in zip(asked, _others(held), strict=True)]
    return np.quantile(np.concatenate(distance), _QUANTILES)


def likeness(sample: Sample, reference: Reference | None, shift: int) -> Array:
    """The correlation, for each frame, of its brightness with that of the same spots in the
    reference or in other frames, if colour is `shift` frames later than depth and pose."""
    views, later = sample.at(), sample.at(shift)
    seen = []
    for view, color in zip(views, later, strict=True):
        xyz, uv = pixels(view, _HELD)
        inside, grey = luminance(color, uv)
        seen.append((in_world(view, xyz, AS_GIVEN.pose)[inside], grey[inside]))
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


def misread(sample: Sample, reference: Reference | None) -> tuple[float, Reading | None]:
    """Metres within which 4 of 10 pixels agree as they are, and the reading that is clearly better
    for as many or for more of them."""
    found = disagreement(sample, reference, AS_GIVEN)
    far = float(np.median(np.concatenate([v.depth[v.depth > 0] for v in sample.at()])))
    doubted = found > MOST * max(1, far)
    if not doubted.any():
        return float(found[0]), None
    possible = [reading for reading in READINGS if not reading.shift or sample.whole]
    scores = np.array([disagreement(sample, reference, reading) for reading in possible]) / found
    best = scores[:, doubted].min(1).argmin()
    believed = scores[best, doubted].min() <= CLEARLY
    return float(found[0]), possible[best] if believed else None


def late_colour(sample: Sample, reference: Reference | None) -> int:
    """Frames (-1, 0 or 1) by which colour seems to be out of step with depth and pose."""
    if not sample.whole:
        return 0
    found = 1 - likeness(sample, reference, 0)
    gains = {shift: (1 - likeness(sample, reference, shift)) / found for shift in (-1, 1)}
    for shift, ratio in gains.items():
        known = ratio[np.isfinite(ratio)]
        if known.size and np.quantile(known, _FRAMES) <= CLEARLY:
            return shift
    return 0


def _shifted(sample: Sample, shift: int) -> list[View]:
    """The frames with the depth of those `shift` later."""
    pairs = zip(sample.at(), sample.at(shift), strict=True)
    return [
        replace(view, depth=later.depth, depth_intrinsics=later.depth_intrinsics)
        for view, later in pairs
    ]


def _others(clouds: list[Array]) -> list[tuple[cKDTree, list[int]]]:
    """For each of some clouds a tree of all others, and which these are."""
    chosen = [[j for j in range(len(clouds)) if j != i] for i in range(len(clouds))]
    return [(cKDTree(np.concatenate([clouds[j] for j in js])), js) for js in chosen]
