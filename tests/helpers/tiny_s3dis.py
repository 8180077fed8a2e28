"""Rooms of S3DIS and images of 2D-3D-S that are known in closed form: `planes.box_room`."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline.scan import Frame
from pipeline.simulate.s3dis_files import SimulatedRoom
from pipeline.simulate.s3dis_images import DEPTH_SCALE, View
from tests.helpers import planes

NAMES = ["ceiling", "floor", "wall", "beam", "column", "window", "door"]
NAMES += ["table", "chair", "sofa", "bookcase", "board", "clutter"]
CLASSES = [{"name": name, "nyu40": 40} for name in NAMES]
# What the things of `box_room` are called here; the cabinet is a name that is no class.
OBJECTS = ["floor", "ceiling", "wall", "wall", "wall", "wall", "stairs", "table"]
SIZE = 48  # pixels along an image


def camera(field_of_view: float, size: int = SIZE) -> planes.Array:
    """Intrinsics (3, 3), in this project's pixels, of a square image so many radians wide."""
    focal = size / 2 / np.tan(field_of_view / 2)
    return np.array([[focal, 0, (size - 1) / 2], [0, focal, (size - 1) / 2], [0, 0, 1]])


def placed(angle: int) -> planes.Array:
    """The pose (4, 4) of `box_room` in its area: turned by `angle` degrees and shifted."""
    pose = np.eye(4)
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[angle]
    pose[:2, :2] = [[cosine, -sine], [sine, cosine]]
    pose[:3, 3] = (-15.986, 42.856, 0.353)
    return pose


def room(
    area: str = "1", name: str = "office_1", angle: int = 0, n_views: int = 6, size: int = SIZE
) -> SimulatedRoom:
    """The box room in its area, its points those that the centres of the images' pixels see.

    Every image has a field of view of its own; those of odd number are RGBA. The first has a
    corner without depth.
    """
    scene, to_area = planes.box_room(), placed(angle)
    views, points = [], []
    for i, pose in enumerate(planes.cameras(n_views)):
        k = camera(np.radians(50 + 7 * i), size)
        rgb, depth, thing = planes.render(scene, k, pose, (size, size))
        v, u = np.mgrid[:size, :size]
        rays = np.stack([u, v, np.ones_like(u)], -1).reshape(-1, 3) @ np.linalg.inv(k).T
        seen = (rays * depth.reshape(-1, 1)) @ pose[:3, :3].T + pose[:3, 3]
        points.append((seen, rgb.reshape(-1, 3), thing.ravel()))
        if i == 0:
            depth[:5, :9] = 0
        if i % 2:
            rgb = np.dstack([rgb, np.full((size, size), 255, np.uint8)])
        views.append(View(f"{i // 2:032x}", i % 2, rgb, depth, k, to_area @ pose))
    xyz, rgb, thing = (np.concatenate(each) for each in zip(*points, strict=True))
    in_area = xyz @ to_area[:3, :3].T + to_area[:3, 3]
    return SimulatedRoom(area, name, in_area, rgb, thing, OBJECTS, views, angle)


def noise_views(count: int = 5, size: int = 16) -> list[View]:
    """Views of noise with poses that text holds exactly; 2 has none, 1 has measured no depth."""
    rng = np.random.default_rng(count)
    views = []
    for i in range(count):
        pose = np.eye(4)
        pose[:3, :3] = np.linalg.matrix_power([[1, 0, 0], [0, 0, -1], [0, 1, 0]], i)
        pose[:3, 3] = rng.integers(-8, 8, 3) / 4
        if i == 2:
            pose[:3] = np.nan
        rgb = rng.integers(0, 256, (size, size, 3 + i % 2), np.uint8)
        depth = rng.integers(1, 65535, (size, size)) / DEPTH_SCALE * (i != 1)
        depth[3:5, 2:7] = 0
        views.append(View(f"{i // 2:032x}", i % 2, rgb, depth, camera(1.0 + i / 8, size), pose))
    return views


def as_frames(views: list[View]) -> list[Frame]:
    """What a reader should make of views."""
    frames = []
    for i, view in enumerate(views):
        file = BytesIO()
        Image.fromarray(view.rgb).save(file, "PNG", compress_level=1)
        depth = (view.depth * DEPTH_SCALE).astype(np.uint16)
        frames.append(Frame(i, 0, file.getvalue(), depth, view.camera_to_world))
    return frames


def only_text(written: SimulatedRoom, **changes: Any) -> SimulatedRoom:
    """The room without its images, or otherwise changed."""
    return replace(written, **{"views": (), **changes})


def files_of(raw: Path, ending: str) -> list[Path]:
    """All files below `raw` whose names end so."""
    return sorted(raw.rglob(f"*{ending}"))
