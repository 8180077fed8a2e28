"""Stage frames: every n-th frame of a recording, of those the ones with a valid pose.

Colour is kept as the camera encoded it: decoded it would be ten times larger.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr

from pipeline.errors import BadInput
from pipeline.geometry.poses import is_rigid, require_poses
from pipeline.scan import RawFrames
from pipeline.stages.declaration import Stage
from pipeline.store import arrays
from pipeline.whole_frames import whole_frames

_CHUNK = 1 << 20  # bytes of encoded colour


@dataclass(frozen=True)
class Settings:
    """The section `frames` of the config."""

    every: int  # keep every n-th frame


class FramesStage(Stage):
    """Every n-th frame with a valid pose: encoded colour, depth, intrinsics, poses."""

    raw = "frames"
    packages = ("numpy", "pillow")
    time_grows_with = size_grows_with = ("frames",)


class Worker:
    """Selects the frames of one scan per call."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.settings = Settings(**params)

    def __call__(self, out: zarr.Group, raw: RawFrames) -> None:
        """Write the F selected frames, one at a time:

        `color` u8, the concatenated encoded images, with frame f at `color_offsets`[f] to [f + 1],
        i64 (F + 1); `depth` u16 (F, H, W), metres times the attribute `depth_scale`, 0
        where nothing was measured; `color_intrinsics` and `depth_intrinsics` f64 (F, 3, 3);
        `camera_to_world` f64 (F, 4, 4); `frame_id` and `timestamp` i64 (F,). The sizes in the
        attributes are (width, height), and `invalid_pose` lists the frames that were left out.

        Raises `BadInput` where no selected frame has a valid pose or an image is damaged, or where
        damaged ones may be left out (`damaged` lists them) and most are.
        """
        place = {frame_id: row for row, frame_id in enumerate(raw.frame_ids)}
        selected = list(raw.frame_ids)[:: self.settings.every]
        poses = {frame_id: raw.pose(frame_id) for frame_id in selected}
        require_poses(poses.values(), "the recording", "correct them, or leave the scan out")
        kept = [frame_id for frame_id in selected if is_rigid(poses[frame_id])]
        if not kept:
            raise BadInput(
                "frames",
                f"none of the {len(selected)} selected has a valid pose",
                "select more of them (`every`) or leave the scan out",
            )
        width, height = raw.depth_size
        depth = arrays.create(out, "depth", (len(kept), height, width), np.uint16, 1)
        color = arrays.create(out, "color", (0,), np.uint8, _CHUNK, compress=False)
        color_offsets, timestamps = [0], []
        whole: list[int] = []
        for frame in whole_frames(raw, kept):
            depth[len(whole)] = frame.depth
            whole.append(frame.frame_id)
            color.append(np.frombuffer(frame.color, np.uint8))
            color_offsets.append(color.shape[0])
            timestamps.append(frame.timestamp)
        damaged = [frame_id for frame_id in kept if frame_id not in set(whole)]
        if damaged:
            depth.resize((len(whole), height, width))
        arrays.write(out, "color_offsets", np.array(color_offsets, np.int64))
        rows = [place[frame_id] for frame_id in whole]
        for name in ("color_intrinsics", "depth_intrinsics"):
            every = np.broadcast_to(getattr(raw, name), (len(place), 3, 3))
            arrays.write(out, name, every[rows].astype(np.float64))
        camera_to_world = np.array([poses[frame_id] for frame_id in whole], np.float64)
        arrays.write(out, "camera_to_world", camera_to_world)
        arrays.write(out, "frame_id", np.array(whole, np.int64))
        arrays.write(out, "timestamp", np.array(timestamps, np.int64))
        out.attrs["color_size"] = list(raw.color_size)
        out.attrs["depth_size"] = list(raw.depth_size)
        out.attrs["depth_scale"] = float(raw.depth_scale)
        out.attrs["damaged"] = [int(i) for i in damaged]
        out.attrs["invalid_pose"] = [int(i) for i in selected if not is_rigid(poses[i])]
