"""Ways in which poses and times may have to be read, and the one that the images support.

A reading is judged by the surfaces that several frames see: with the right one, pixels of different
frames coincide with each other, or with the points of the scan; with a wrong one, they scatter.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from pipeline.doctor.views import Array, Sample, View, in_world, luminance, pixels
from pipeline.images import luma
from pipeline.scan import Cloud

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # its camera axes: x right, y up, looking along -z
GOOD = 0.01  # metres, and as a share of the depth: a smaller disagreement is accepted
CLEARLY = 0.6  # another reading is accepted if it leaves at most this share of the disagreement
_FRAMES = 0.8  # share of the frames that must show that colour is of another time
# Shares of the pixels: of more, some are visible in one frame only; fewer may all be on a floor,
# which coincides with itself whichever way the camera turns.
_QUANTILES = 0.4, 0.7
_QUERIES, _TARGETS = 400, 2500  # pixels of a frame that are compared, and that they may match
_POINTS = 500_000
_NEAR = 0.06  # metres within which two pixels are taken to see the same spot


@dataclass(frozen=True)
class Reading:
    """One way to read the files."""

    message: str  # what is wrong if this reading is the right one
    remedy: str
    pose: Callable[[Array], Array] = lambda pose: pose
    shift: int = 0  # how many frames later the depth of a pose is found


AS_GIVEN = Reading("", "")
READINGS = (
    Reading(
        "the poses look like world-to-camera matrices: inverted, the frames agree",
        "invert them: camera-to-world is expected",
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
    another frame, under this reading."""
    views = _shifted(sample, reading.shift)
    queries = [in_world(view, pixels(view, _QUERIES)[0], reading.pose) for view in views]
    if reference is not None:
        distance = [reference.tree.query(xyz)[0] for xyz in queries]
    else:
        targets = [in_world(view, pixels(view, _TARGETS)[0], reading.pose) for view in views]
        distance = [
            tree.query(xyz)[0] for xyz, (tree, _) in zip(queries, _others(targets), strict=True)
        ]
    return np.quantile(np.concatenate(distance), _QUANTILES)


def likeness(sample: Sample, reference: Reference | None, shift: int) -> Array:
    """For each frame (F,) the correlation of its brightness with that of the same spots in the
    reference or in other frames, if colour is `shift` frames later than depth and pose; NaN where
    too few spots are shared."""
    views, later = sample.at(), sample.at(shift)
    seen = []
    for view, color in zip(views, later, strict=True):
        xyz, uv = pixels(view, _TARGETS)
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


def misread(sample: Sample, reference: Reference | None) -> Reading | None:
    """The reading that is clearly better than the given one for 4 or for 7 of 10 pixels."""
    found = disagreement(sample, reference, AS_GIVEN)
    far = float(np.median(np.concatenate([v.depth[v.depth > 0] for v in sample.at()])))
    poor = found > GOOD * max(1, far)
    if not poor.any():
        return None
    possible = [reading for reading in READINGS if not reading.shift or sample.has_neighbours]
    scores = np.array([disagreement(sample, reference, reading) for reading in possible]) / found
    best = scores[:, poor].min(1).argmin()
    accepted = scores[best, poor].min() <= CLEARLY
    return possible[best] if accepted else None


def late_colour(sample: Sample, reference: Reference | None) -> int:
    """By how many frames (-1, 0 or 1) colour seems to be out of step with depth and pose."""
    if not sample.has_neighbours:
        return 0
    found = 1 - likeness(sample, reference, 0)
    gains = {shift: (1 - likeness(sample, reference, shift)) / found for shift in (-1, 1)}
    for shift, ratio in gains.items():
        known = ratio[np.isfinite(ratio)]
        if known.size and np.quantile(known, _FRAMES) <= CLEARLY:
            return shift
    return 0


def _shifted(sample: Sample, shift: int) -> list[View]:
    """The examined frames with the depth of those `shift` later."""
    pairs = zip(sample.at(), sample.at(shift), strict=True)
    return [
        replace(view, depth=later.depth, depth_intrinsics=later.depth_intrinsics)
        for view, later in pairs
    ]


def _others(clouds: list[Array]) -> list[tuple[cKDTree, list[int]]]:
    """For each cloud (P, 3) a tree of all others, and their indices."""
    chosen = [[j for j in range(len(clouds)) if j != i] for i in range(len(clouds))]
    return [(cKDTree(np.concatenate([clouds[j] for j in js])), js) for js in chosen]
