"""How large a scan is and how much of it is seen, over the whole recording."""

from dataclasses import dataclass

import numpy as np

from pipeline.doctor.views import Array
from pipeline.geometry.cameras import transform
from pipeline.geometry.pairs import measured_points
from pipeline.geometry.poses import is_rigid
from pipeline.geometry.visibility import Camera, see
from pipeline.readers.folder.witnesses import MAX_DEPTH
from pipeline.scan import Cloud, RawFrames
from pipeline.whole_frames import whole_frames

FRAMES = 240  # at most, spread over the recording
_PIXELS = 1000  # of a frame
_POINTS = 50_000  # of the cloud
_TOLERANCE = 0.05, 0.02  # metres, and share of the depth, between a seen point and the depth


@dataclass(frozen=True)
class Whole:
    """A recording as a whole.

    Attributes:
        frames: how many were read, of `count` with a pose.
        extent: (3,) metres, of all but the outermost 1 % of the points, or else of the pixels.
        seen: share of the points that any of these frames sees, None without points.
        views: by how many of them on average.
        beyond: share of the measured depth that is too far to be fused, None with points.
    """

    frames: int
    count: int
    extent: Array
    seen: float | None
    views: float | None
    beyond: float | None = None


@dataclass(frozen=True)
class _Depth:
    depth: Array
    depth_intrinsics: Array
    camera_to_world: Array


def survey(raw: RawFrames, cloud: Cloud | None) -> Whole:
    """Read up to 240 frames of a recording, spread over all that have a pose.

    Raises `BadInput` for a damaged image, as `whole_frames` does.
    """
    ids = list(raw.frame_ids)
    valid = [i for i, each in enumerate(ids) if is_rigid(raw.pose(each))]
    chosen = np.unique(np.linspace(0, len(valid) - 1, FRAMES).round().astype(int))
    place = {ids[valid[i]]: valid[i] for i in chosen}
    sizes = len(ids), 3, 3
    k_color = np.broadcast_to(raw.color_intrinsics, sizes)
    k_depth = np.broadcast_to(raw.depth_intrinsics, sizes)
    points = None if cloud is None else cloud.xyz[:: -(-len(cloud.xyz) // _POINTS)]
    times = None if points is None else np.zeros(len(points), int)
    pixels, frames = [], 0
    measured = beyond = 0
    for frame in whole_frames(raw, list(place)):
        i, frames = place[frame.frame_id], frames + 1
        depth = frame.depth / raw.depth_scale
        if points is not None and times is not None:
            pose = frame.camera_to_world
            camera = Camera(raw.color_size, k_color[i], depth, 1.0, k_depth[i], pose)
            times[see(camera, points, *_TOLERANCE)[0]] += 1
        else:
            measured += int(np.count_nonzero(depth))
            beyond += int(np.count_nonzero(depth > MAX_DEPTH))
            view = _Depth(depth, k_depth[i].astype(float), frame.camera_to_world)
            pixels.append(transform(view.camera_to_world, measured_points(view, _PIXELS)))
    xyz = np.concatenate(pixels) if points is None else points
    extent = np.ptp(np.percentile(xyz, (1, 99), axis=0), axis=0) if len(xyz) else np.zeros(3)
    if times is None:
        return Whole(frames, len(valid), extent, None, None, beyond / max(1, measured))
    seen = times > 0
    views = float(times[seen].mean()) if seen.any() else 0.0
    return Whole(frames, len(valid), extent, float(seen.mean()), views)
