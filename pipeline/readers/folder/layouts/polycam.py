"""Polycam's raw data ("developer mode" of the app for iPhones and iPads with LiDAR).

    keyframes/images/<time>.jpg   keyframes/cameras/<time>.json   keyframes/depth/<time>.png (mm)
    keyframes/corrected_images/   keyframes/corrected_cameras/   keyframes/confidence/<time>.png

Names are microseconds. A camera is `t_00` to `t_23` (3 x 4, row by row, camera to world with
ARKit's axes, y up) and `fx`, `fy`, `cx`, `cy` of images of `width` x `height`. Corrected images
(without distortion) and cameras (optimised together) are taken where there are some. Source: the
README of PolyCam/polyform.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.readers.folder.conventions import one_size, pose_from
from pipeline.readers.folder.pairing import Group, require_all
from pipeline.readers.folder.recording import Recording
from pipeline.readers.folder.values import (
    Array,
    Size,
    checked_intrinsics,
    image_size_in,
    numbers,
    pinhole,
    read_json,
)
from pipeline.readers.folder.views import View

NAME = "keyframes/ with images/, cameras/ and depth/ (Polycam's raw data)"
PARTS = {
    "images/*.jpg": r"(.*/)?keyframes/(corrected_)?images/[0-9]+\.jpg",
    "cameras/*.json": r"(.*/)?keyframes/(corrected_)?cameras/[0-9]+\.json",
    "depth/*.png": r"(.*/)?keyframes/depth/[0-9]+\.png",
}

_FILE = re.compile(
    r"(?:(corrected_)?(images|cameras)|(depth|confidence))/([0-9]{1,18})\.(?:jpg|json|png)"
)
_POSE = [f"t_{row}{column}" for row in range(3) for column in range(4)]
_CAMERA = ("fx", "fy", "cx", "cy")


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    found = {name: path for name, path in names.items() if _FILE.fullmatch(name)}
    kinds = {match[2] or match[3] for name in found if (match := _FILE.fullmatch(name))}
    return found if {"images", "cameras", "depth"} <= kinds else {}


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files. Raises `BadInput` where an image has no camera or no depth."""
    plain: dict[int, Group] = {}
    corrected: dict[int, Group] = {}
    for name, path in files.items():
        if match := _FILE.fullmatch(name):
            kind, frame = match[2] or match[3], int(match[4])
            for of in (plain, corrected) if match[3] else (corrected if match[1] else plain,):
                of.setdefault(frame, {})[kind] = path
    # Optimised poses and the phone's own are in two worlds, which must not be mixed.
    optimised = any({"images", "cameras"} <= frame.keys() for frame in corrected.values())
    frames = {i: f for i, f in (corrected if optimised else plain).items() if "images" in f}
    require_all(frames.values(), ("images", "cameras", "depth"))
    views: list[View] = []
    cameras: list[Array] = []
    sizes: list[Size] = []
    for i, f in sorted(frames.items()):
        camera, size, pose = _camera(f["cameras"])
        views.append(View(i, f["images"], f["depth"], pose, i, f.get("confidence")))
        cameras.append(camera)
        sizes.append(size)
    size = one_size(sizes, next(iter(frames.values()))["cameras"].parent)
    return Recording(views, np.stack(cameras), intrinsics_size=size, up="y")


def _camera(path: Path) -> tuple[Array, Size, Array]:
    """Intrinsics, the size of their image, and the pose."""
    values = read_json(path)
    given = numbers([values.get(k) for k in _CAMERA], (4,), path, "fx, fy, cx and cy")
    pose = numbers([values.get(k) for k in _POSE], (12,), path, "a pose, t_00 to t_23")
    whole = {
        k: int(v) if v == v // 1 else v
        for k in ("width", "height")
        if isinstance(v := values.get(k), int | float)
    }
    size = image_size_in(whole, "width", "height", path)
    return checked_intrinsics(pinhole(*given), path), size, pose_from(pose.reshape(3, 4), "opengl")
