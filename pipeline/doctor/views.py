"""A few frames of a scan in memory, and the world positions of their pixels."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.geometry.cameras import project, scale_intrinsics
from pipeline.geometry.pairs import measured_points
from pipeline.geometry.poses import is_rigid
from pipeline.images import decoded, luma
from pipeline.scan import RawFrames
from pipeline.whole_frames import whole_frames

Array = NDArray[np.float64]

WIDTH = 320  # pixels: the largest width of a colour image in memory
_THIN = 160 * 120  # pixels of depth that suffice to compare frames
_STRETCHES = 3  # parts of the recording that frames are taken from, spread over it
_GAPS = 60  # frames of a stretch are this fraction of the recording apart


@dataclass(frozen=True)
class View:
    """One frame; `color` and `color_intrinsics` are scaled down."""

    frame_id: int
    place: int  # in the recording
    color: NDArray[np.uint8]  # (H, W, 3)
    depth: Array  # (h, w) metres according to the files, 0 = not measured
    color_intrinsics: Array  # (3, 3)
    depth_intrinsics: Array  # (3, 3)
    camera_to_world: Array  # (4, 4)


@dataclass(frozen=True)
class Sample:
    """Some frames of a recording, each with its neighbours in time at `place` -1 and +1."""

    places: list[int]  # of the examined frames in the recording
    views: dict[int, View]  # by place, with the neighbours
    count: int  # frames in the recording
    lost: int  # frames without a valid pose
    path: Array  # (F, 3) camera centres of the frames with one
    poses: list[Array]  # camera_to_world (4, 4) of all frames, those without a valid one included

    @property
    def far(self) -> float:
        """Metres according to the files: half of the depth is below; 1 where none is measured."""
        depth = np.concatenate([view.depth[view.depth > 0] for view in self.at()])
        return float(np.median(depth)) if len(depth) else 1.0

    def has_pose(self, place: int) -> bool:
        """Whether the recording has a frame with a valid pose there."""
        return 0 <= place < self.count and is_rigid(self.poses[place])

    @property
    def has_neighbours(self) -> bool:
        """Whether all examined frames have both neighbours."""
        return {place + shift for place in self.places for shift in (-1, 1)} <= self.views.keys()

    def at(self, shift: int = 0) -> list[View]:
        """The examined frames, or those `shift` later in the recording."""
        return [self.views[place + shift] for place in self.places]


def take(raw: RawFrames, count: int) -> Sample:
    """Read about `count` frames in a few stretches, with their neighbours.

    Raises `BadInput` where no frame has a valid pose, or images are damaged.
    """
    ids = list(raw.frame_ids)
    poses = [raw.pose(frame_id) for frame_id in ids]
    valid = [i for i, pose in enumerate(poses) if is_rigid(pose)]
    if not valid:
        what = f"none of the {len(ids)} frames has a valid pose (finite, and a rotation)"
        raise BadInput("poses", what, "export the scan again, or leave it out")
    fit = [i for i in valid if {i - 1, i + 1} <= set(valid)] or valid
    gap = max(1, round(len(ids) / _GAPS))
    half = (np.arange(-(-count // _STRETCHES)) - (count // _STRETCHES - 1) / 2) * gap
    middles = np.linspace(0, len(ids) - 1, 2 * _STRETCHES + 1)[1::2]
    wanted = (middles[:, None] + half).ravel()
    nearest = {min(fit, key=lambda i: abs(i - place)) for place in wanted}
    sizes = len(ids), 3, 3
    k_color = np.broadcast_to(raw.color_intrinsics, sizes)
    k_depth = np.broadcast_to(raw.depth_intrinsics, sizes)
    views = {}
    read = {place + shift for place in nearest for shift in (-1, 0, 1)} & set(valid)
    place = {ids[i]: i for i in sorted(read)}
    for frame in whole_frames(raw, list(place)):
        i, image = place[frame.frame_id], decoded(frame.color)
        image.thumbnail((WIDTH, 4 * WIDTH))
        views[i] = View(
            ids[i],
            i,
            np.asarray(image),
            frame.depth / raw.depth_scale,
            scale_intrinsics(k_color[i], raw.color_size, image.size),
            k_depth[i].astype(float),
            frame.camera_to_world,
        )
    path = np.array([poses[i][:3, 3] for i in valid])
    whole = [i for i in sorted(nearest) if {i - 1, i, i + 1} & read <= set(views)]
    whole = whole or sorted(nearest & set(views))
    return Sample(whole, views, len(ids), len(ids) - len(valid), path, poses)


def thin(view: View) -> View:
    """A frame with fewer pixels of depth, at most about 160 x 120, each as it was measured."""
    height, width = view.depth.shape
    step = max(1, round(np.sqrt(height * width / _THIN)))
    first = (step - 1) // 2
    k = view.depth_intrinsics.copy()
    k[:2, 2] -= first
    k[:2] /= step
    return replace(view, depth=view.depth[first::step, first::step], depth_intrinsics=k)


def pixels(view: View, count: int) -> tuple[Array, Array]:
    """About `count` measured pixels of a frame, evenly spread.

    Returns their positions (P, 3) in camera coordinates, in metres, and the pixels (P, 2) of the
    colour image that see the same.
    """
    xyz = measured_points(view, count)
    return xyz, project(view.color_intrinsics, xyz)


def luminance(view: View, uv: Array) -> tuple[NDArray[np.bool_], Array]:
    """Which pixels (P, 2) are in the image, and its brightness (P,) there, 0 elsewhere."""
    height, width = view.color.shape[:2]
    column, row = np.rint(uv).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    grey = luma(view.color)
    value = np.zeros(len(uv))
    value[inside] = grey[row[inside], column[inside]]
    return inside, value
