"""What a file of points or a mesh contains, in whatever format it is."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.geometry.clouds import whole_metres
from pipeline.scan import Cloud

NOBODY = np.empty(0, np.int64)


@dataclass(frozen=True)
class Points:
    """The points of a file that have a position, in the order of the file."""

    xyz: NDArray[np.float64]  # (N, 3) as in the file
    rgb: NDArray[np.uint8]  # (N, 3)
    normal: NDArray[np.float64] | None = None  # (N, 3) unit length, 0 where unknown
    left_out: NDArray[np.int64] = field(default_factory=lambda: NOBODY)  # (K,) see `Cloud`

    def cloud(self, segment: NDArray[np.int32] | None = None) -> Cloud:
        """The same in single precision, with `segment` (N,) if it is known."""
        offset = whole_metres(self.xyz)
        count = len(self.xyz)
        unknown = np.zeros((count, 3), np.float32)
        return Cloud(
            xyz=(self.xyz - offset).astype(np.float32),
            rgb=self.rgb,
            normal=unknown if self.normal is None else self.normal.astype(np.float32),
            segment=np.full(count, -1, np.int32) if segment is None else segment,
            offset=offset,
            left_out=self.left_out,
        )


def measured(xyz: NDArray[np.float64], path: Path) -> NDArray[np.bool_]:
    """Which of the points (N, 3) of a file have a position.

    Not those that are no numbers, nor those at exactly 0 in a cloud whose coordinates are large:
    both is how programs keep a place for what was not measured. Warns of these, and raises
    `BadInput` where no point is left.
    """
    there = np.isfinite(xyz.sum(axis=1))
    if there.any() and whole_metres(xyz[there])[:2].any():
        there &= xyz.any(axis=1)
    if not there.any():
        raise BadInput(path, "has no point with a position", "save it again with its points")
    if not there.all():
        count = np.count_nonzero(~there)
        what = f"{count:,} of {len(xyz):,} points have no position and get no label"
        warnings.warn(f"{path}: {what}.", stacklevel=3)
    return there
