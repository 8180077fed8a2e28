"""One frame of a recording as its files, and frames that cannot be of the recording's place."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.poses import is_rigid

Array = NDArray[np.float64]

_WALK = 500.0  # metres from the middle camera of a recording; farther ones lost their track
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

    A track that jumps would add a second place to the cloud, kilometres from the scan.
    """
    posed = [view for view in views if is_rigid(view.camera_to_world)]
    if not posed:
        return views
    centres = np.array([view.camera_to_world[:3, 3] for view in posed])
    with np.errstate(over="ignore"):  # of 1e300 m
        away = np.linalg.norm(centres - np.median(centres, axis=0), axis=1)
    strayed = {view.frame_id for view, far in zip(posed, away, strict=True) if not far <= _WALK}
    if not strayed or len(strayed) > max(1, _FEW * len(posed)) or len(posed) < 3:
        return views
    first, count = min(strayed), len(strayed)
    what = f"the camera of {count} of {len(posed)} frames is over {_WALK:g} m from the others"
    warnings.warn(f"{where}: {what}: frame {first}; left out.", stacklevel=3)
    lost = np.full((4, 4), -np.inf)
    return [replace(v, camera_to_world=lost) if v.frame_id in strayed else v for v in views]
