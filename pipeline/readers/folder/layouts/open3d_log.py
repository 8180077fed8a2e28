"""The layout of Open3D's reconstruction system and of the Redwood scans.

    color/, image/ or rgb/   depth/ (16 bit, mm)   a camera as JSON
    trajectory.log: for each frame a line of three numbers and the 4 x 4 camera to world

Poses belong to the images of their numbers, or in order where neither has a gap. Without a JSON
file the camera is a PrimeSense, as in Open3D; `depth_scale` in it is the depth's unit. Other JSON
files, such as the viewer's camera_trajectory.json, are passed over.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder.camera_json import PATTERN, CameraFile, camera_in, camera_names
from pipeline.readers.folder.layouts.own import MILLIMETRES
from pipeline.readers.folder.pairing import in_folder, paired
from pipeline.readers.folder.recording import Recording
from pipeline.readers.folder.values import (
    FIX,
    Array,
    numbers,
    pinhole,
    read_text,
)
from pipeline.readers.folder.views import View

NAME = "color/, depth/, a trajectory .log and a camera .json (Open3D, Redwood)"
PARTS = {
    "color/": r"(color|image|rgb)/[^/]*\.(jpe?g|png)",
    "depth/": r"depth/[^/]*\.png",
    "a trajectory .log": r"(scene/)?[^/]*trajectory[^/]*\.log",
    "a camera .json": PATTERN,
}
SIZE = (640, 480)
PRIMESENSE = pinhole(525, 525, 319.5, 239.5)

_COLOR = ("color", "image", "rgb")
_ENDINGS = (".png", ".jpg", ".jpeg")


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    images = {name: path for name, path in names.items() if name.lower().endswith(_ENDINGS)}
    folder = next((c for c in _COLOR if any(n.startswith(f"{c}/") for n in images)), None)
    logs = [n for n in names if re.fullmatch(r"(?:scene/)?[^/]*trajectory[^/]*\.log", n)]
    if folder is None or not logs or not any(n.startswith("depth/") for n in images):
        return {}
    cameras = camera_names(names)
    wanted = [n for n in images if n.count("/") == 1 and n.startswith((f"{folder}/", "depth/"))]
    return {name: names[name] for name in (*wanted, *logs, *cameras)}


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files. Raises `BadInput` if images and poses do not fit together."""
    frames = paired(
        {
            "color": in_folder(files, _COLOR, _ENDINGS),
            "depth": in_folder(files, ("depth",), _ENDINGS),
        }
    )
    (log,) = _only(files, ".log")
    poses = _of_images(list(frames), _trajectory(log), log)
    images = zip(frames.values(), poses, strict=True)
    views = [View(i, f["color"], f["depth"], pose) for i, (f, pose) in enumerate(images)]
    camera = camera_in(files) or CameraFile(PRIMESENSE, SIZE, None)
    scale = camera.depth_scale or MILLIMETRES
    return Recording(views, camera.intrinsics, intrinsics_size=camera.size, depth_scale=scale)


def _of_images(ids: list[int], poses: dict[int, Array], log: Path) -> list[Array]:
    """The pose of each image: that of its number, or, where both are numbered without a gap, in
    their order. Raises `BadInput` where neither tells which pose belongs to which image."""
    if ids[0] == next(iter(poses)) and all(i in poses for i in ids):
        return [poses[i] for i in ids]
    if len(ids) == len(poses) and _without_gap(ids) and _without_gap(list(poses)):
        return list(poses.values())
    what = f"has {len(poses)} poses, {min(poses)} to {max(poses)}, for {len(ids)} images"
    raise BadInput(log, f"{what} with the numbers {ids[0]} to {ids[-1]}", FIX)


def _without_gap(ids: list[int]) -> bool:
    return len(set(np.diff(ids))) < 2


def _only(files: Mapping[str, Path], ending: str) -> list[Path]:
    found = [files[name] for name in sorted(files) if name.endswith(ending)]
    if len(found) > 1:
        what = f"is one of {len(found)} {ending} files, as is {found[1].name}"
        raise BadInput(found[0], what, "keep only one of them")
    return found


def _trajectory(path: Path) -> dict[int, Array]:
    """Number of a frame -> its pose."""
    words = read_text(path).split()
    if not words or len(words) % 19:
        raise BadInput(path, "does not contain 3 + 16 numbers per frame", FIX)
    blocks = [
        numbers(words[i : i + 19], (19,), path, "3 + 16 numbers per frame")
        for i in range(0, len(words), 19)
    ]
    ids = [block[0] for block in blocks]
    counted = all(i == int(i) for i in ids if np.isfinite(i)) and np.isfinite(ids).all()
    if not (counted and (np.diff(ids) > 0).all()):  # some programs write zeros there
        ids = list(range(len(blocks)))
    return {int(i): block[3:].reshape(4, 4) for i, block in zip(ids, blocks, strict=True)}
