"""One frame of a recording as its files, and frames that cannot be of the recording's place."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from pipeline.geometry.poses import is_rigid

Array = NDArray[np.float64]

_GAP = 25.0  # metres that cameras lie apart at least (twice that at most) where a track jumped
_MANY = 1000  # places of cameras; where it is more, it is the unit that is wrong
_FEW = 0.2  # of the frames; where it is more, it is the unit or the order of all that is wrong


class Blob(Protocol):
    """A file on disk or in an archive."""

    def read_bytes(self) -> bytes:
        """Its content."""


@dataclass(frozen=True)
class View:
    """One frame: its files, and its pose, with OpenCV's camera axes, in the scan's own world."""

    frame_id: int
    color: Blob
    depth: Blob
    camera_to_world: Array  # (4, 4), not finite where tracking was lost
    timestamp: int = 0  # microseconds
    confidence: Blob | None = None  # 8-bit PNG of the depth's size, 0 where depth is a guess


def without_strayed(views: Sequence[View], where: str) -> Sequence[View]:
    """The views, those without a pose whose cameras are far away from all others, with a warning.

    A track that jumps would add a second place to the cloud, which no other frame sees.
    """
    posed = [view for view in views if is_rigid(view.camera_to_world)]
    if not posed:
        return views
    centres = np.array([view.camera_to_world[:3, 3] for view in posed])
    near = _largest(centres)
    strayed = {view.frame_id for view, is_near in zip(posed, near, strict=True) if not is_near}
    if not strayed or len(strayed) > max(1, _FEW * len(posed)) or len(posed) < 3:
        return views
    first, count = min(strayed), len(strayed)
    what = f"the camera of {count} of {len(posed)} frames is over {_GAP:g} m from the others"
    warnings.warn(f"{where}: {what}: frame {first}; left out.", stacklevel=3)
    lost = np.full((4, 4), -np.inf)
    return [replace(v, camera_to_world=lost) if v.frame_id in strayed else v for v in views]


def _largest(centres: Array) -> NDArray[np.bool_]:
    """Which of some points (N, 3) are in the largest group of them without a gap."""
    cells, own = np.unique(np.floor(centres / _GAP), axis=0, return_inverse=True)
    if len(cells) > _MANY:
        return np.ones(len(centres), bool)
    beside = (abs(cells[:, None] - cells).max(axis=2) <= 1).astype(int)
    group = connected_components(beside)[1][own.ravel()]
    return np.asarray(group == np.bincount(group).argmax())
