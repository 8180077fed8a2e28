"""The layout of Open3D's reconstruction system and of the Redwood scans.

    color/, image/ or rgb/   depth/ (16 bit, mm)   a camera as JSON
    trajectory.log: for each frame a line of three numbers and the 4 x 4 camera to world

Poses belong to the images in the order of their names. Without a JSON file the camera is a
PrimeSense, as in Open3D.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.readers.folder.recording import Recording, View
from pipeline.readers.folder.values import (
    FIX,
    Array,
    checked_intrinsics,
    image_size_in,
    numbers,
    pinhole,
    read_json,
    read_text,
)

NAME = "color/, depth/, a trajectory .log and a camera .json (Open3D, Redwood)"
PARTS = {
    "color/": r"(color|image|rgb)/[^/]*\.(jpe?g|png)",
    "depth/": r"depth/[^/]*\.png",
    "a trajectory .log": r"(scene/)?[^/]*trajectory[^/]*\.log",
    "a camera .json": r"(?!pose_)[^/]*(?:intrinsic|camera)[^/]*\.json",
}
SIZE = (640, 480)
PRIMESENSE = pinhole(525, 525, 319.5, 239.5)

_COLOR = ("color", "image", "rgb")
_ENDINGS = (".png", ".jpg", ".jpeg")
_CAMERA = re.compile(r"[^/]*(?:intrinsic|camera)[^/]*\.json")


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    images = {name: path for name, path in names.items() if name.lower().endswith(_ENDINGS)}
    folder = next((c for c in _COLOR if any(n.startswith(f"{c}/") for n in images)), None)
    logs = [n for n in names if re.fullmatch(r"(?:scene/)?[^/]*trajectory[^/]*\.log", n)]
    if folder is None or not logs or not any(n.startswith("depth/") for n in images):
        return {}
    cameras = [name for name in names if _CAMERA.fullmatch(name)]
    wanted = [n for n in images if n.count("/") == 1 and n.startswith((f"{folder}/", "depth/"))]
    return {name: names[name] for name in (*wanted, *logs, *cameras)}


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files. Raises `BadInput` if images and poses differ in number."""
    color, depth = _in_order(files, _COLOR), _in_order(files, ("depth",))
    (log,) = _only(files, ".log")
    poses = _trajectory(log)
    if not len(color) == len(depth) == len(poses):
        what = f"has {len(poses)} poses for {len(color)} colour and {len(depth)} depth images"
        raise BadInput(log, what, FIX)
    views = [View(i, *each) for i, each in enumerate(zip(color, depth, poses, strict=True))]
    matrix, size = PRIMESENSE, SIZE
    for camera in _only(files, ".json"):
        matrix, size = _camera(camera)
    return Recording(views, matrix, intrinsics_size=size)


def _in_order(files: Mapping[str, Path], folders: tuple[str, ...]) -> list[Path]:
    """The images in one of `folders`, by the numbers in their names."""
    names = [n for n in files if n.partition("/")[0] in folders and n.lower().endswith(_ENDINGS)]
    return [files[name] for name in sorted(names, key=_natural)]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(n) if n else 0, text) for text, n in re.findall(r"([^0-9]*)([0-9]*)", name)]


def _only(files: Mapping[str, Path], ending: str) -> list[Path]:
    found = [files[name] for name in sorted(files) if name.endswith(ending)]
    if len(found) > 1:
        what = f"is one of {len(found)} {ending} files, as is {found[1].name}"
        raise BadInput(found[0], what, "keep only one of them")
    return found


def _trajectory(path: Path) -> list[Array]:
    words = read_text(path).split()
    if not words or len(words) % 19:
        raise BadInput(path, "does not contain 3 + 16 numbers per frame", FIX)
    blocks = [words[i + 3 : i + 19] for i in range(0, len(words), 19)]
    return [numbers(block, (16,), path, "a 4 x 4 matrix").reshape(4, 4) for block in blocks]


def _camera(path: Path) -> tuple[Array, tuple[int, int]]:
    """Intrinsics (column-major in the file), and the (width, height) of their images."""
    values = read_json(path)
    what = "a camera (width, height, intrinsic_matrix)"
    matrix = numbers(values.get("intrinsic_matrix"), (9,), path, what).reshape(3, 3).T
    return checked_intrinsics(matrix, path), image_size_in(values, "width", "height", path)
