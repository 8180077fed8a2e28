"""Recordings whose files were written or read wrongly, in ways that users encounter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.scan import Frame, RawFrames

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


class Misread:
    """The frames (a `RawFrames`) of another recording, with one thing wrong about them."""

    def __init__(
        self,
        raw: RawFrames,
        pose: Callable[[Any], Any] = lambda pose: pose,
        depth_scale: float = 1,
        intrinsics: float = 1,
        late: str = "",
    ) -> None:
        self._raw, self._pose, self._late = raw, pose, late
        self.frame_ids = raw.frame_ids
        self.color_size, self.depth_size = raw.color_size, raw.depth_size
        self.depth_scale = raw.depth_scale * depth_scale
        scale = np.array([[intrinsics], [intrinsics], [1.0]])
        self.color_intrinsics = raw.color_intrinsics * scale
        self.depth_intrinsics = raw.depth_intrinsics * scale

    def pose(self, frame_id: int) -> Any:
        pose = self._raw.pose(frame_id)
        return self._pose(pose) if np.isfinite(pose).all() else pose

    def read(self, frame_id: int) -> Frame:
        frame = self._raw.read(frame_id)
        if self._late:  # that image is of the frame before
            ids = list(self._raw.frame_ids)
            before = self._raw.read(ids[max(0, ids.index(frame_id) - 1)])
            frame = replace(frame, **{self._late: getattr(before, self._late)})
        return replace(frame, camera_to_world=self.pose(frame_id))


class Part(Misread):
    """Some frames of a recording whose intrinsics are the same in all."""

    def __init__(self, raw: RawFrames, frame_ids: Sequence[int]) -> None:
        super().__init__(raw)
        self.frame_ids = frame_ids


def _in_millimetres(pose: Any) -> Any:
    return np.block([[pose[:3, :3], 1000 * pose[:3, 3:]], [pose[3:]]])


# The fault -> how it is made, and a few words by which a sentence names it.
FAULTS: Mapping[str, tuple[dict[str, Any], str]] = {
    "poses are world-to-camera": ({"pose": np.linalg.inv}, "look like world-to-camera matrices:"),
    "axes are OpenGL's": ({"pose": lambda p: p @ OPENGL}, "of cameras with OpenGL's axes (y up"),
    "depth is in millimetres": (
        {"depth_scale": 0.001},
        "units of which 1000 are a metre, millimetres",
    ),
    "positions are in millimetres": (
        {"pose": _in_millimetres},
        "positions look to be in millimetres",
    ),
    "intrinsics are of an image of twice the size": ({"intrinsics": 2}, "the intrinsics of colour"),
    "intrinsics are of an image of half the size": ({"intrinsics": 0.5}, "the intrinsics of depth"),
    "depth is one frame late": ({"late": "depth"}, "depth looks out of step"),
    "colour is one frame late": ({"late": "color"}, "colour looks out of step"),
}
