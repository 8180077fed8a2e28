"""A simulated room in the files of S3DIS and 2D-3D-S: a world, standpoints, views, points.

The points are those that pixels see, thinned out; surfaces without a view are missing, as in a real
scan.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.cameras import transform, unproject
from pipeline.readers.s3dis.files import SCAN_NAME
from pipeline.simulate.catalogue import Catalogue
from pipeline.simulate.render import Renderer
from pipeline.simulate.room import build_room
from pipeline.simulate.s3dis_files import SimulatedRoom, write_room
from pipeline.simulate.s3dis_images import View
from pipeline.simulate.s3dis_text import ALIGNED, NOT_ALIGNED
from pipeline.simulate.s3dis_world import class_of, with_structure
from pipeline.simulate.walk import camera_path, pose
from pipeline.simulate.world import World

# The packages whose version may change the bytes of a scan.
PACKAGES = ("numpy", "open3d", "pillow", "scipy", "trimesh")

Array = NDArray[np.float64]

_FIELD_OF_VIEW = (0.8, 1.3)  # radians; every image has its own
_PITCH = (-0.65, 0.5)  # radians
_BLIND_CHANCE = 0.15  # share of the images that lack a region of depth
_RGBA_CHANCE = 0.3


@dataclass(frozen=True)
class Variety:
    """The ways in which rooms of the two datasets differ, all supported by the reader."""

    angle: int  # degrees between the room and the axes of its area
    release: str
    images: str  # the part of 2D-3D-S
    damaged: bool  # whether the text has the known faults
    stairs: bool  # whether something is called stairs, which is not a class


def simulate_scan(
    scan: str,
    seed: int,
    split: Literal["train", "val", "test"],
    params: Mapping[str, Any],
    folder: Path,
) -> None:
    """Write the files of a simulated room, determined by `seed`, into the trees below `folder`.

    `scan` is a name such as Area_1_office_1. The rooms of area_5b are among those of Area_5, and
    the areas of even number are of the aligned release. `params`: `furniture` (the folder of the
    catalogue's .sh3f files), `n_cameras` standpoints with `n_views` images each, `image_size`
    (pixels along a square image) and `spacing` (metres between points). Rooms can be written at
    the same time, and a room that was interrupted is written again with the same bytes. Raises
    `BadInput` where there is no furniture.
    """
    match = SCAN_NAME.fullmatch(scan)
    if match is None:
        raise ValueError(f"{scan} is not the name of a room")
    rng = np.random.default_rng([seed, 3])
    variety = draw_variety(match[1], rng)
    catalogue = _catalogue(str(params["furniture"]))
    world = build_room(seed, catalogue, "train" if split == "train" else "heldout")
    world = with_structure(world, rng)
    to_area = _placement(variety.angle, rng)
    views, xyz, rgb, thing = record(world, seed, params, to_area, rng)
    objects = [class_of(each) for each in world.things]
    if variety.stairs and "clutter" in objects:
        objects[objects.index("clutter")] = "stairs"
    room = SimulatedRoom(match[1], match[2], xyz, rgb, thing, objects, views, variety.angle)
    write_room(folder, room, [variety.release], variety.images, variety.damaged)


def draw_variety(area: str, rng: np.random.Generator) -> Variety:
    """Draw the variety of a room."""
    chance = rng.random(3)
    part = ("a" if chance[0] < 0.5 else "b") if area == "5" else ""
    return Variety(
        angle=int(rng.choice([0, 90, 180, 270])),
        release=NOT_ALIGNED if int(area) % 2 else ALIGNED,
        images=f"area_{area}{part}",
        damaged=bool(chance[1] < 0.5),
        stairs=bool(chance[2] < 0.5),
    )


def record(
    world: World, seed: int, params: Mapping[str, Any], to_area: Array, rng: np.random.Generator
) -> tuple[list[View], Array, NDArray[np.uint8], NDArray[np.int32]]:
    """The views, and the visible points (N, 3) in the area, colours (N, 3) and things (N,)."""
    renderer, size = Renderer(world), int(params["image_size"])
    eyes = camera_path(world, seed, params["n_cameras"])[:, :3, 3]
    views, found = [], []
    for eye in eyes:
        camera, first = rng.bytes(16).hex(), rng.uniform(0, 2 * np.pi)
        # Some numbers are missing in the releases.
        numbers = np.sort(rng.choice(params["n_views"] + 2, params["n_views"], replace=False))
        for number in numbers.tolist():
            yaw = first + 2 * np.pi * number / (params["n_views"] + 2)
            standing = pose(eye, yaw, rng.uniform(*_PITCH))
            k = _intrinsics(rng.uniform(*_FIELD_OF_VIEW), size)
            rgb, depth, thing = renderer.render(k, standing, (size, size))
            row, column = np.nonzero(depth)
            seen = unproject(k, np.column_stack([column, row]), depth[row, column].astype(float))
            points = transform(to_area @ standing, seen)
            keep = _thinned(points, params["spacing"])
            found.append((points[keep], rgb[row, column][keep], thing[row, column][keep]))
            image = _with_alpha(rgb) if rng.random() < _RGBA_CHANCE else rgb
            shown = _blinded(depth, rng) if rng.random() < _BLIND_CHANCE else depth
            views.append(View(camera, number, image, shown, k, to_area @ standing))
    points, colors, things = (np.concatenate(each) for each in zip(*found, strict=True))
    keep = _thinned(points, params["spacing"])
    return views, points[keep], colors[keep], things[keep]


def _placement(angle: int, rng: np.random.Generator) -> Array:
    """The pose (4, 4) of a room in its area, rotated by a multiple of 90 degrees."""
    to_area = np.eye(4)
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[angle]
    to_area[:2, :2] = [[cosine, -sine], [sine, cosine]]
    to_area[:3, 3] = rng.uniform([-25, -25, -0.3], [25, 25, 0.3])
    return to_area


def _intrinsics(field_of_view: float, size: int) -> Array:
    focal = size / 2 / np.tan(field_of_view / 2)
    return np.array([[focal, 0, (size - 1) / 2], [0, focal, (size - 1) / 2], [0, 0, 1]])


def _thinned(points: Array, spacing: float) -> NDArray[np.int64]:
    """Indices of the first point in each cell, in their order."""
    cell = np.floor(points / spacing).astype(np.int64)
    cell -= cell.min(0)
    key = np.ravel_multi_index(tuple(cell.T), tuple(cell.max(0) + 1))
    return np.sort(np.unique(key, return_index=True)[1])


def _with_alpha(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


def _blinded(depth: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Depth without a round region, as on glass."""
    row, column = np.indices(depth.shape)
    size = len(depth)
    y, x = rng.uniform(0.2, 0.8, 2) * size
    radius = rng.uniform(0.08, 0.2) * size
    return np.where((row - y) ** 2 + (column - x) ** 2 > radius**2, depth, 0)


@lru_cache(maxsize=1)
def _catalogue(furniture: str) -> Catalogue:
    return Catalogue(Path(furniture))
