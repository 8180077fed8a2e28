"""The entry `frames` as a `RawFrames`, to be compared with a cloud."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import zarr
from numpy.typing import NDArray

from pipeline.scan import Frame


class KeptFrames:
    """The frames in the entry (a `RawFrames`), numbered from 0; all have valid poses.

    Colour images are not read. `depth_intrinsics` and `color_intrinsics` are (F, 3, 3).
    """

    def __init__(self, frames: zarr.Group) -> None:
        self._poses = np.asarray(frames["camera_to_world"])
        self._depth = cast(zarr.Array, frames["depth"])
        self.frame_ids: Sequence[int] = range(len(self._poses))
        width, height = cast(list[int], frames.attrs["color_size"])
        self.color_size = width, height
        width, height = cast(list[int], frames.attrs["depth_size"])
        self.depth_size = width, height
        self.depth_scale = cast(float, frames.attrs["depth_scale"])
        self.color_intrinsics = np.asarray(frames["color_intrinsics"])
        self.depth_intrinsics = np.asarray(frames["depth_intrinsics"])

    def pose(self, frame_id: int) -> NDArray[np.float64]:
        """camera_to_world (4, 4)."""
        return self._poses[frame_id]

    def read(self, frame_id: int) -> Frame:
        """A frame with depth and pose, without colour and timestamp."""
        depth = np.asarray(self._depth[frame_id])
        return Frame(frame_id, 0, b"", depth, self._poses[frame_id])
