"""Recordings in memory, and mistakes of other people planted into them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

import numpy as np
from numpy.random import Generator
from PIL import Image

from pipeline.geometry.cameras import scale_intrinsics, transform, unproject
from pipeline.scan import Frame, RawFrames
from tests.helpers import planes
from tests.helpers.room_frames import encoded

Array = planes.Array


@dataclass
class Recorded:
    """All frames of a recording in memory (a `RawFrames`)."""

    colors: list[bytes]
    depths: list[np.ndarray]  # (h, w) u16
    poses: list[Array]  # (4, 4)
    color_size: tuple[int, int]
    depth_size: tuple[int, int]
    color_intrinsics: Array
    depth_intrinsics: Array
    depth_scale: float = 1000.0
    frame_ids: Sequence[int] = field(init=False)

    def __post_init__(self) -> None:
        self.frame_ids = range(len(self.poses))

    def pose(self, frame_id: int) -> Array:
        return self.poses[frame_id]

    def read(self, frame_id: int) -> Frame:
        i = frame_id
        return Frame(i, 0, self.colors[i], self.depths[i], self.poses[i])


def in_memory(raw: RawFrames) -> Recorded:
    """A recording with all its images."""
    frames = [raw.read(each) for each in raw.frame_ids]
    return Recorded(
        [frame.color for frame in frames],
        [frame.depth for frame in frames],
        [frame.camera_to_world for frame in frames],
        raw.color_size,
        raw.depth_size,
        raw.color_intrinsics,
        raw.depth_intrinsics,
        raw.depth_scale,
    )


def analytic(rng: Generator, count: int = 24, size: tuple[int, int] = (80, 60)) -> Recorded:
    """A room of boxes with a pattern on its walls, walked through with the noise of a sensor.

    Depth is off by 0.4 % and positions by 4 mm (one standard deviation).
    """
    scene, k = _room(rng), planes.color_intrinsics(size)
    colors, depths, poses = [], [], []
    for pose in _walk(rng, scene, count):
        rgb, depth, _ = planes.render(scene, k, pose, size)
        v, u = np.mgrid[: size[1], : size[0]].reshape(2, -1).astype(float)
        xyz = transform(pose, unproject(k, np.column_stack([u, v]), depth.ravel()))
        paint = 1 + 0.25 * np.sin(3 * xyz + 1).prod(1) + 0.15 * np.sin(2 * xyz[:, 0] + xyz[:, 2])
        painted = np.clip(rgb * paint.reshape(*depth.shape, 1) * 0.8, 0, 255).astype(np.uint8)
        noisy = depth * (1 + 0.004 * rng.standard_normal(depth.shape))
        colors.append(encoded(painted, "JPEG"))
        depths.append(np.rint(1000 * noisy).astype(np.uint16))
        poses.append(pose.copy())
        poses[-1][:3, 3] += 0.004 * rng.standard_normal(3)
    return Recorded(colors, depths, poses, size, size, k, k)


def _room(rng: Generator) -> planes.Scene:
    """A room of 3 to 6 m with boxes at its walls and in its middle."""
    usual = planes.box_room()
    x, y, z = rng.uniform(3.4, 6), rng.uniform(3, 5), rng.uniform(2.4, 3)
    room = planes.Box((0.0, 0.0, 0.0), (x, y, z), usual.room.things)
    cabinet = planes.Box((0.3, y - 0.6, 0.0), (rng.uniform(1, 2), y, rng.uniform(1, 2)), (6,) * 6)
    low = rng.uniform(0.4, 0.5) * x, rng.uniform(0.35, 0.45) * y
    table = planes.Box((*low, 0.0), (low[0] + 0.9, low[1] + 0.6, rng.uniform(0.5, 0.9)), (7,) * 6)
    shelf = planes.Box((x - 0.4, 0.2, 0.0), (x, 1.1, rng.uniform(1, 2)), (6,) * 6)
    return planes.Scene(usual.things, room, (cabinet, table, shelf))


def _walk(rng: Generator, scene: planes.Scene, count: int) -> list[Array]:
    """Upright cameras on part of a ring, at changing height, that look across the room."""
    (x, y, z), start = scene.room.high, rng.uniform(0, 6)
    poses = []
    for angle in start + np.linspace(0, rng.uniform(3, 5.5), count):
        along = np.array([np.cos(angle), np.sin(angle)])
        eye = np.array([0.5 * x, 0.5 * y]) + along * (0.33 * x, 0.3 * y)
        far = np.array([0.5 * x, 0.5 * y]) - along * (0.3 * x, 0.3 * y)
        height = 0.55 * z + 0.15 * np.sin(3 * angle)
        poses.append(planes.look_at((*eye, height), (*far, 0.2 * z + 0.2 * np.cos(2 * angle))))
    return poses


def inverted(pose: Array) -> Array:
    """The inverse of a pose."""
    return np.asarray(np.linalg.inv(pose), np.float64)


def transposed(pose: Array) -> Array:
    """A pose with its rotation transposed."""
    return np.block([[pose[:3, :3].T, pose[:3, 3:]], [pose[3:]]])


def scaled(pose: Array, factor: float) -> Array:
    """A pose with its position multiplied."""
    return np.block([[pose[:3, :3], factor * pose[:3, 3:]], [pose[3:]]])


@dataclass(frozen=True)
class Fault:
    """A mistake, and words of the sentence that must tell it."""

    what: str
    recording: Recorded
    words: tuple[str, ...]  # one of them


def depth_unit(raw: Recorded, unit: float) -> Fault:
    """Depth stored in 1/unit metres, read as if it were what it was."""
    values = [np.rint(depth * (unit / raw.depth_scale)) for depth in raw.depths]
    stored = [np.where(value > 65535, 0, value).astype(np.uint16) for value in values]
    words = (f"units of which {unit:.6g} are a metre",)
    return Fault(f"depth in 1/{unit:g} m", replace(raw, depths=stored), words)


def pose_scale(raw: Recorded, factor: float) -> Fault:
    """Positions multiplied by `factor`."""
    what = f"positions x {factor:.3g}"
    return poses(raw, what, lambda pose: scaled(pose, factor), ("positions look to be",))


def poses(
    raw: Recorded, what: str, change: Callable[[Array], Array], words: tuple[str, ...]
) -> Fault:
    """Each pose changed."""
    return Fault(what, replace(raw, poses=[change(pose) for pose in raw.poses]), words)


def intrinsics(raw: Recorded, focal: tuple[float, float], shift: tuple[float, float]) -> Fault:
    """Focal lengths multiplied, and the principal point moved by parts of the image's size."""

    def moved(k: Array, size: tuple[int, int]) -> Array:
        k = k.copy()
        k[[0, 1], [0, 1]] *= focal
        k[:2, 2] += np.multiply(shift, size)
        return k

    color = moved(raw.color_intrinsics, raw.color_size)
    depth = moved(raw.depth_intrinsics, raw.depth_size)
    what = "intrinsics x {:.2f}, {:.2f} + {:.2f}, {:.2f}".format(*focal, *shift)
    recording = replace(raw, color_intrinsics=color, depth_intrinsics=depth)
    return Fault(what, recording, ("intrinsics of",))


def of_another_size(raw: Recorded, scale: float) -> Fault:
    """Intrinsics of images `scale` times as large."""

    def scaled(k: Array, size: tuple[int, int]) -> Array:
        new = round(scale * size[0]), round(scale * size[1])
        return scale_intrinsics(k, size, new)

    color = scaled(raw.color_intrinsics, raw.color_size)
    depth = scaled(raw.depth_intrinsics, raw.depth_size)
    recording = replace(raw, color_intrinsics=color, depth_intrinsics=depth)
    return Fault(f"intrinsics of images x {scale:g}", recording, ("intrinsics of",))


def late(raw: Recorded, part: str, by: int) -> Fault:
    """Colours, depths or poses that are those of `by` frames before, the first ones repeated."""
    values = getattr(raw, part)
    index = np.clip(np.arange(len(values)) - by, 0, len(values) - 1)
    words = ("out of step",)
    changes: dict[str, Any] = {part: [values[i] for i in index]}
    return Fault(f"{part} {by} late", replace(raw, **changes), words)


def turned(raw: Recorded, how: str) -> Fault:
    """Colour images that are stored turned or mirrored."""
    method = getattr(Image.Transpose, how)
    colors = []
    for blob in raw.colors:
        file = BytesIO()
        Image.open(BytesIO(blob)).transpose(method).save(file, "JPEG", quality=95)
        colors.append(file.getvalue())
    return Fault(f"colour {how.lower()}", replace(raw, colors=colors), ("colour looks",))
