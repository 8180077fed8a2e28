"""What frames, and points if there are any, say about one reading of a scan."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from pipeline.doctor.readings import Change, Reading
from pipeline.doctor.views import View, pixels, thin
from pipeline.geometry import pairs
from pipeline.geometry.cameras import transform
from pipeline.scan import Cloud

CLEARLY = 0.5  # a reading explains a disagreement if at most this share of it is left
_FEWEST = 4  # frames that must agree where as given they cannot be compared
_FEW, _ALL = 150, 400  # pixels of a frame for a first look, and to decide
NEAR_POINT = 0.04  # metres from a point within which 4 of 10 pixels are in a right scan
_QUANTILE = 0.4  # of the pixels: of more, some see what the cloud lacks
_POINTS = 500_000


class Reference:
    """The points of a scan that do not come from its images."""

    def __init__(self, cloud: Cloud) -> None:
        every = -(-len(cloud.xyz) // _POINTS)
        self.tree = cKDTree(cloud.xyz[::every].astype(float))

    def distance(self, views: Sequence[View], count: int) -> float:
        """Metres within which 4 of 10 pixels of the frames have a point."""
        xyz = [transform(v.camera_to_world, pixels(v, count)[0]) for v in views]
        return float(np.quantile(self.tree.query(np.concatenate(xyz))[0], _QUANTILE))


@dataclass(frozen=True)
class Verdict:
    """How far a reading is from a right scan.

    Attributes:
        agreement: of the frames with one another, None where they share too little.
        apart: metres between pixels and points, None where there are no points.
    """

    agreement: pairs.Agreement | None
    apart: float | None

    @property
    def ratio(self) -> float:
        """The disagreement as a multiple of what right scans have; infinite if unknown."""
        if self.agreement:
            return self.agreement.ratio
        return np.inf if self.apart is None else self.apart / NEAR_POINT

    @property
    def part(self) -> float:
        """A measure that does not depend on the unit of depth, to compare readings by."""
        return self.agreement.part if self.agreement else self.ratio * pairs.SHARE

    @property
    def metres(self) -> float:
        """The disagreement in metres; infinite if unknown."""
        if self.agreement:
            return self.agreement.metres
        return np.inf if self.apart is None else self.apart


class Judge:
    """Compares the views of a scan under any reading."""

    def __init__(self, views: Sequence[View], reference: Reference | None) -> None:
        self.views, self.reference = [thin(view) for view in views], reference
        self.given = self.verdict(lambda view: view)

    def verdict(self, change: Change, count: int = _ALL) -> Verdict:
        """The verdict on the views after `change`, by `count` pixels of each."""
        views = [each for view in self.views if (each := change(view)) is not None]
        if len(views) < 2:
            return Verdict(None, None)
        agreement = pairs.compare(views, count)
        if self.reference is None or (agreement and count < _ALL):
            return Verdict(agreement, None)
        return Verdict(agreement, self.reference.distance(views, count))

    def first_look(self, change: Change) -> float:
        """How far the views are from agreeing after `change`, by few pixels: to find candidates.

        Infinite where so few frames can be compared that it would mean nothing.
        """
        found = self.verdict(change, _FEW)
        return found.part if self.enough(found) else np.inf

    def enough(self, found: Verdict) -> bool:
        """Whether about as many frames can be compared as in the reading that is given."""
        if found.agreement is None:
            return self.given.agreement is None and found.apart is not None
        if self.given.agreement is None:  # frames that meet by chance are few
            return found.agreement.frames >= max(_FEWEST, len(self.views) / 2)
        return 2 * found.agreement.frames >= self.given.agreement.frames

    def explains(self, reading: Reading) -> Verdict | None:
        """The verdict on a reading, if with it the views agree as in right scans, and clearly
        better than as they are given."""
        found = self.verdict(reading.change)
        good = found.ratio <= 1 and found.part <= CLEARLY * self.given.part
        return found if good and self.enough(found) else None
