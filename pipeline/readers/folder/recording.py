"""The frames of a scan in any layout: what a layout returns, and the `RawFrames` made from it."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.geometry.cameras import scale_intrinsics
from pipeline.geometry.clouds import whole_metres
from pipeline.geometry.poses import is_rigid, require_intrinsics, require_poses
from pipeline.images import brightest, check_image, image_size, lies_on_its_side, upright, white_of
from pipeline.readers.folder import depth_files
from pipeline.readers.folder.confidence import decode_confidence
from pipeline.readers.folder.upright import guess_up, turn_up
from pipeline.readers.folder.values import FIX
from pipeline.readers.folder.views import Blob, View, without_strayed
from pipeline.scan import Frame

Array = NDArray[np.float64]
Size = tuple[int, int]
T = TypeVar("T")

_NOTHING = 65535  # depth of 16 bits at its end: of 7-Scenes by its format, of others by habit
_LOOKED_AT = 9  # images, spread over the recording, for what most of them have
_SAME_SHAPE = 0.02  # relative difference of aspect ratios below which two images show the same


@dataclass(frozen=True)
class Recording:
    """The content of a folder in some layout.

    Intrinsics are (3, 3), or (F, 3, 3) in the order of the views. They refer to images of
    `intrinsics_size` if given; without `depth_intrinsics` those of colour are scaled to the depth.
    `up` is the world's axis that points up, None if the layout does not define it. Depth of 0 and
    of 65535 was not measured. `read_depth`, for depth that is in no file of `depth_files`, returns
    (H, W) from the bytes, the expected size and the path for messages.
    """

    views: Sequence[View]
    color_intrinsics: Array
    depth_intrinsics: Array | None = None
    intrinsics_size: Size | None = None
    depth_scale: float = 1000.0
    up: str | None = None
    depth_size: Size | None = None  # read from the files where it is None
    read_depth: Callable[[bytes, Size, str], NDArray[np.uint16]] = depth_files.decode


class FolderFrames:
    """The frames of one folder (a `RawFrames`), in a world whose z points up.

    `turn` (3, 3) is the rotation from the scan's own world, and `offset` (3,) are the whole metres
    that are subtracted after it where cameras are georeferenced. The intrinsics are (3, 3), or
    (F, 3, 3) in the order of `frame_ids` where they change. Raises `BadInput`.
    """

    leaves_out_damaged = True  # see `pipeline.whole_frames`: nobody can record them again

    def __init__(self, recording: Recording) -> None:
        views = without_strayed(recording.views, str(_place(recording)))
        recording = replace(recording, views=views)
        self._recording = recording
        self._views = {view.frame_id: view for view in recording.views}
        self.frame_ids: Sequence[int] = list(self._views)
        self.depth_scale = recording.depth_scale
        poses = [view.camera_to_world for view in recording.views]
        require_poses(poses, _place(recording), FIX)
        self.turn = turn_up(recording.up or guess_up(poses))
        places = [self.turn @ pose[:3, 3] for pose in poses if is_rigid(pose)]
        self.offset = whole_metres(np.array(places)) if places else np.zeros(3)
        # Frames with a pose, since the images of the others may be incomplete.
        posed = [v for v in recording.views if is_rigid(v.camera_to_world)] or recording.views
        some = posed[:: -(-len(posed) // _LOOKED_AT)]
        colors = [view.color for view in some]
        self.color_size = common_size(colors)
        self._white = white_of(max(_each(partial(brightest, remedy=FIX), colors)))
        depths = [view.depth for view in some]
        self.depth_size = recording.depth_size or _most(_each(depth_files.depth_size, depths))
        if recording.read_depth is depth_files.decode and _most(
            _each(depth_files.in_millimetres, depths)
        ):
            self.depth_scale = 1000.0
        source = recording.intrinsics_size
        color = recording.color_intrinsics
        if source is None:
            self._require_turned(colors)
        place, source_or_own = _place(recording), source or self.color_size
        self.color_intrinsics = self._scaled(color, source_or_own, self.color_size)
        require_intrinsics(self.color_intrinsics, place, FIX, self.color_size)
        if recording.depth_intrinsics is None:
            depth, source = self.color_intrinsics, self.color_size
        else:
            depth, source = recording.depth_intrinsics, source or self.depth_size
        self.depth_intrinsics = self._scaled(depth, source, self.depth_size)
        require_intrinsics(self.depth_intrinsics, place, FIX, self.depth_size)

    def pose(self, frame_id: int) -> Array:
        """camera_to_world (4, 4), -inf where tracking was lost."""
        pose = self._views[frame_id].camera_to_world
        if not np.isfinite(pose).all():
            return np.full((4, 4), -np.inf)
        turned = np.vstack([self.turn @ pose[:3], pose[3:]])
        turned[:3, 3] -= self.offset
        return turned

    def read(self, frame_id: int) -> Frame:
        """The complete frame. Raises `BadInput` where an image is damaged or of another size."""
        view = self._views[frame_id]
        where = str(view.color)
        color = upright(content(view.color), self.color_size, where, FIX, self._white)
        check_image(color, self.color_size, where)
        depth = self._recording.read_depth(content(view.depth), self.depth_size, str(view.depth))
        depth = np.where(depth == _NOTHING, np.uint16(0), depth)
        if view.confidence is not None:
            known = decode_confidence(content(view.confidence), self.depth_size, view.confidence)
            depth = np.where(known > 0, depth, np.uint16(0))
        return Frame(frame_id, view.timestamp, color, depth, self.pose(frame_id))

    def _require_turned(self, colors: Sequence[Blob]) -> None:
        """Raise `BadInput` where colour is turned on its side by its tags, and its intrinsics are
        those of the image as stored: then depth and poses are, too."""
        if not _most(_each(partial(lies_on_its_side, remedy=FIX), colors)):
            return
        (x, y), (width, height) = self._recording.color_intrinsics[..., :2, 2].T, self.color_size
        if np.mean(abs(x / height - 0.5) + abs(y / width - 0.5)) < np.mean(
            abs(x / width - 0.5) + abs(y / height - 0.5)
        ):
            what = f"is turned to {self.color_size} by its EXIF tag, and its intrinsics are not"
            raise BadInput(
                str(colors[0]), what, "remove the tag from all images, or turn intrinsics"
            )

    def _scaled(self, intrinsics: Array, size: Size, new: Size) -> Array:
        """Intrinsics after a resize. Raises `BadInput` where the aspect ratios differ: a crop or a
        rotation cannot be inferred."""
        if size == new:
            return intrinsics
        if abs(size[0] * new[1] / (size[1] * new[0]) - 1) > _SAME_SHAPE:
            what = f"has images of {new} pixels but intrinsics for {size}, another shape"
            raise BadInput(_place(self._recording), what, "give the intrinsics of both images")
        if intrinsics.ndim == 2:
            return scale_intrinsics(intrinsics, size, new)
        return np.stack([scale_intrinsics(each, size, new) for each in intrinsics])


def _place(recording: Recording) -> str:
    """The folder of the recording, or what it is in."""
    first = recording.views[0]
    return os.path.commonpath([str(first.color), str(first.depth)])


def _each(what: Callable[[bytes, str], T], blobs: Sequence[Blob]) -> list[T]:
    """What each file says that is not damaged. Raises `BadInput` where all are."""
    said: list[T] = []
    fault: BadInput | None = None
    for blob in blobs:
        try:
            said.append(what(content(blob), str(blob)))
        except BadInput as error:
            fault = fault or error
    if fault and not said:
        raise fault
    return said


def common_size(images: Sequence[Blob]) -> Size:
    """The (width, height) of most of some images, spread over all that are given.

    Damaged ones do not count. Raises `BadInput` where all are.
    """
    some = images[:: max(1, -(-len(images) // _LOOKED_AT))]
    return _most(_each(partial(image_size, remedy=FIX), some))


def _most(said: list[T]) -> T:
    return max(said, key=said.count)


def content(blob: Blob) -> bytes:
    """The bytes of a file. Raises `BadInput` where it cannot be read."""
    try:
        return blob.read_bytes()
    except Exception as error:  # archives raise their own exceptions
        why = getattr(error, "strerror", None) or error
        raise BadInput(str(blob), f"cannot be read ({why})", FIX) from None
