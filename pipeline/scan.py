"""The result of every raw reader: the frames, the cloud and the labels (if any) of one scan.

Conventions of the whole project: metres, z up; cameras look along +z with x right and y down
(OpenCV); `camera_to_world` takes camera to world coordinates; the centre of the first pixel is
(0, 0) and uv = (column, row).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Frame:
    """One posed RGB-D frame; colour and depth have the same camera centre."""

    frame_id: int
    timestamp: int  # microseconds, 0 where unknown
    color: bytes  # a JPEG or PNG file, as found
    depth: NDArray[np.uint16]  # (H, W), 0 = not measured
    camera_to_world: NDArray[np.float64]  # (4, 4)


class RawFrames(Protocol):
    """The frames of one scan, read one at a time; opening it reads no image."""

    frame_ids: Sequence[int]  # all frames of the recording, valid pose or not
    color_size: tuple[int, int]  # (width, height) in pixels
    depth_size: tuple[int, int]
    depth_scale: float  # metres = depth / depth_scale
    # (3, 3) for the recording, or (F, 3, 3) in the order of `frame_ids` where they change.
    color_intrinsics: NDArray[np.float64]
    depth_intrinsics: NDArray[np.float64]

    def pose(self, frame_id: int) -> NDArray[np.float64]:
        """camera_to_world (4, 4); not finite where tracking was lost. Reads no image."""

    def read(self, frame_id: int) -> Frame:
        """The complete frame. Raises `BadInput` where an image is damaged or of another size."""


@dataclass(frozen=True)
class Cloud:
    """The points of a scan, without labels: those are read separately and never reach training.

    The last two say how the file differs: georeferenced coordinates do not fit into single
    precision, and points without a position have no place in a scan.
    """

    xyz: NDArray[np.float32]  # (N, 3) metres, in the world of the camera poses
    rgb: NDArray[np.uint8]  # (N, 3)
    normal: NDArray[np.float32]  # (N, 3) unit length, 0 where unknown
    segment: NDArray[np.int32]  # (N,) superpoint id, -1 = none
    # (3,) whole metres: xyz + offset are the file's coordinates, with z up
    offset: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    # (K,) ascending: which of the N + K points of the file are not here
    left_out: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True)
class Labels:
    """Dense ground truth of the points, used only for scores and scene tags."""

    label: NDArray[np.int16]  # (N,) index into the dataset's classes, -1 = ignored
    instance: NDArray[np.int32]  # (N,) from 1, 0 = none
