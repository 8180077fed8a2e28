"""COLMAP's models as text, with depth images.

    cameras.txt and images.txt, here or in sparse/, sparse/0/ or colmap/
    images/ (or rgb/, color/) with the names in images.txt   depth/<name>.png (mm)

Poses are world to camera, qw qx qy qz tx ty tz, with OpenCV's axes. The centre of COLMAP's first
pixel is (0.5, 0.5). Its positions have any scale, unless they were fitted to something in metres.
Source: COLMAP's documentation of its output format.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder.conventions import UNDISTORT, one_size, pose_from, require_straight
from pipeline.readers.folder.pairing import COLOR, COLOR_ENDINGS, DEPTH, DEPTH_ENDINGS
from pipeline.readers.folder.recording import Recording
from pipeline.readers.folder.values import (
    FIX,
    MAX_SIDE,
    Array,
    Size,
    checked_intrinsics,
    numbers,
    pinhole,
    pose_of,
    read_text,
)
from pipeline.readers.folder.views import View

NAME = "images/, depth/, and cameras.txt and images.txt in sparse/ (COLMAP's text)"
_PLACES = ("", "sparse/", "sparse/0/", "colmap/", "colmap/sparse/0/")
_TEXT = "(`colmap model_converter --output_type TXT` writes it)"
PARTS = {
    f"sparse/cameras.txt {_TEXT}": r"([a-z]+/)?([a-z]+/)?(0/)?cameras\.txt",
    f"sparse/images.txt {_TEXT}": r"([a-z]+/)?([a-z]+/)?(0/)?images\.txt",
    "images/": r"(images|rgb|color)/.*\.(jpe?g|png)",
    "depth/": r"depths?/.*\.(png|npy|tiff?|exr)",
}

# Model -> what its parameters are; "f" is both focal lengths.
_MODELS = {
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k1"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
}
_FIRST_PIXEL = 0.5


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    place = _place(names)
    images, depth = _inside(names, COLOR, COLOR_ENDINGS), _inside(names, DEPTH, DEPTH_ENDINGS)
    if place is None or not images or not depth:
        return {}
    model = {place + n: names[place + n] for n in ("cameras.txt", "images.txt")}
    return model | {n: names[n] for n in (*images.values(), *depth.values())}


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files: the images that have a pose. Raises `BadInput`."""
    place = _place(files) or ""
    cameras, where = _cameras(files[f"{place}cameras.txt"]), files[f"{place}images.txt"]
    images = _inside(files, COLOR, COLOR_ENDINGS)
    depth = {_stem(n): full for n, full in _inside(files, DEPTH, DEPTH_ENDINGS).items()}
    views, used = [], []
    for frame_id, camera_id, name, pose in _poses(where):
        if name not in images:
            raise BadInput(where, f"names {name!r}, which is no image here", FIX)
        deep = depth.get(_stem(name), depth.get(name))
        if deep is None:
            raise BadInput(files[images[name]], "has no depth image of its name", FIX)
        if camera_id not in cameras:
            raise BadInput(where, f"has the camera {camera_id}, not in cameras.txt", FIX)
        views.append(View(frame_id, files[images[name]], files[deep], pose))
        used.append(cameras[camera_id])
    size = one_size([size for _, size in used], files[f"{place}cameras.txt"])
    matrices = [matrix for matrix, _ in used]
    same = all(np.array_equal(each, matrices[0]) for each in matrices)
    intrinsics = matrices[0] if same else np.stack(matrices)
    return Recording(views, intrinsics, intrinsics_size=size)


def _place(names: Mapping[str, Path]) -> str | None:
    return next(
        (p for p in _PLACES if p + "images.txt" in names and p + "cameras.txt" in names), None
    )


def _inside(
    names: Mapping[str, Path], folders: tuple[str, ...], endings: tuple[str, ...]
) -> dict[str, str]:
    """The path below the first of `folders` that has such files -> the path in the scan."""
    for folder in folders:
        found = {
            n.partition("/")[2]: n
            for n in names
            if n.startswith(f"{folder}/") and n.lower().endswith(endings)
        }
        if found:
            return found
    return {}


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _lines(path: Path) -> list[str]:
    lines = [line.strip() for line in read_text(path).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _cameras(path: Path) -> dict[str, tuple[Array, Size]]:
    """Camera -> intrinsics (3, 3), and the size of its images."""
    found = {}
    for line in _lines(path):
        camera_id, model, *rest = [*line.split(), ""]
        if model not in _MODELS:
            raise BadInput(path, f"has the camera model {model!r}, no pinhole", UNDISTORT)
        names = _MODELS[model]
        values = numbers(rest[:-1], (2 + len(names),), path, f"a size and {', '.join(names)}")
        if not all(0 < side <= MAX_SIDE and side == int(side) for side in values[:2]):
            raise BadInput(path, f"has images of {values[0]:g} x {values[1]:g} pixels", FIX)
        size = (int(values[0]), int(values[1]))
        given = dict(zip(names, values[2:].tolist(), strict=True))
        fx, fy = given.get("fx", given.get("f", 0.0)), given.get("fy", given.get("f", 0.0))
        matrix = pinhole(fx, fy, given["cx"] - _FIRST_PIXEL, given["cy"] - _FIRST_PIXEL)
        if camera_id in found:
            raise BadInput(path, f"has the camera {camera_id} twice", FIX)
        checked_intrinsics(matrix, path)
        require_straight(given, matrix, size, path)
        found[camera_id] = matrix, size
    return found


def _poses(path: Path) -> list[tuple[int, str, str, Array]]:
    """Image, camera, name and pose. The lines between, if there are some, are lists of points."""
    what = "an image, a quaternion, a position, a camera and a name per image"
    found: dict[int, tuple[int, str, str, Array]] = {}
    for line in _lines(path):
        words = line.split(maxsplit=9)
        if not line.lower().endswith(COLOR_ENDINGS):
            numbers(line.split(), range(0, 10**7, 3), path, what)
            continue
        values = numbers(words[:8], (8,), path, what)
        if len(words) < 10 or not words[0].isdecimal() or int(words[0]) in found:
            raise BadInput(path, f"does not contain {what}", FIX)
        turned = pose_of(values[[2, 3, 4, 1]], values[5:8])
        pose = pose_from(turned, direction="world_to_camera")
        found[int(words[0])] = (int(words[0]), words[8], words[9], pose)
    if not found:
        raise BadInput(path, "contains no image", FIX)
    return list(found.values())
