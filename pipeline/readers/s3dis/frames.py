"""The perspective images of 2D-3D-S that show one room, in the coordinates of its points.

Every image has its own field of view, so there are as many intrinsics as frames.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.images import decode_depth, image_size, upright
from pipeline.readers.s3dis.alignment import AREA_5B_TO_5A
from pipeline.readers.s3dis.poses import read_pose
from pipeline.scan import Frame, RawFrames

DEPTH_SCALE = 512.0
MISSING = 65535  # depth where nothing was measured; 0 here
DOWNLOAD = "download it again"

_NAME = re.compile(r"camera_([0-9a-f]{32})_.*_frame_([0-9]+)_domain_.*")


def open_frames(files: Mapping[str, Path]) -> RawFrames:
    """Open the group "frames" of `pipeline.readers.s3dis.files.scan_files`. Raises `BadInput`."""
    return PerspectiveImages(files)


class PerspectiveImages:
    """The images of one room (a `RawFrames`), numbered by area, camera and frame.

    `color_intrinsics` and `depth_intrinsics` are (F, 3, 3), in the order of `frame_ids`, and equal:
    colour and depth are from one camera. The poses of area_5b are converted to the coordinates of
    area_5a, those of the points of Area_5. Raises `BadInput` where an image lacks its depth or its
    pose, and where a pose is damaged.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        views: dict[tuple[str, str, int], dict[str, Path]] = {}
        for name, path in files.items():
            area, kind, _ = name.split("/")
            if match := _NAME.fullmatch(path.name):
                views.setdefault((area, match[1], int(match[2])), {})[kind] = path
        if not views:
            raise BadInput("frames", "there is no image of this room", "download 2D-3D-S")
        for view in views.values():
            if lacking := [kind for kind in ("rgb", "depth", "pose") if kind not in view]:
                what = f"has no {' and no '.join(lacking)} file beside it"
                raise BadInput(next(iter(view.values())), what, DOWNLOAD)
        self._views = [views[key] for key in sorted(views)]
        self.frame_ids: Sequence[int] = range(len(views))
        cameras = [read_pose(view["pose"]) for view in self._views]
        self.color_intrinsics = np.stack([intrinsics for intrinsics, _ in cameras])
        self.depth_intrinsics = self.color_intrinsics
        self._poses = [pose for _, pose in cameras]
        for i, (area, *_) in enumerate(sorted(views)):
            if area == "area_5b" and np.isfinite(self._poses[i]).all():
                self._poses[i] = AREA_5B_TO_5A @ self._poses[i]
        first = self._views[0]["rgb"]
        self.color_size = self.depth_size = image_size(_bytes(first), str(first), DOWNLOAD)
        self.depth_scale = DEPTH_SCALE
        self._check_size()

    def pose(self, frame_id: int) -> NDArray[np.float64]:
        """camera_to_world (4, 4), not finite where the pose file's numbers are not."""
        return self._poses[frame_id]

    def read(self, frame_id: int) -> Frame:
        """One frame, without a timestamp; colour as found, sometimes RGBA. Raises `BadInput`."""
        view = self._views[frame_id]
        color = upright(_bytes(view["rgb"]), self.color_size, str(view["rgb"]), DOWNLOAD)
        where = str(view["depth"])
        depth = decode_depth(_bytes(view["depth"]), self.depth_size, where, DOWNLOAD)
        return Frame(
            frame_id=frame_id,
            timestamp=0,
            color=color,
            depth=np.where(depth == MISSING, np.uint16(0), depth),
            camera_to_world=self.pose(frame_id),
        )

    def _check_size(self) -> None:
        """Raise `BadInput` where the images were resized: the pose files do not show it."""
        middle = (np.array(self.color_size) - 1) / 2
        off = abs(self.color_intrinsics[:, :2, 2] - middle).max(1)
        if off.max() > 2:
            path = self._views[int(off.argmax())]["pose"]
            what = f"has intrinsics of another image size than {self.color_size} pixels"
            raise BadInput(path, what, "use the images as released")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", DOWNLOAD) from None
