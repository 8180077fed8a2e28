"""Images with one file of all poses: Replica as NICE-SLAM renders it, and rgb/ and depth/.

    results/frame000000.jpg   results/depth000000.png   traj.txt   cam_params.json
    rgb/, depth/ (mm)   traj.txt, poses.txt or traj_w_c.txt   intrinsics.txt or cam_params.json

The poses are camera to world with OpenCV's axes: 16 or 12 numbers a line, or four lines for each.
Pose i is that of the image with the number i (from 0, or from 1 where there are as many). The
camera's file may be one folder up; its `scale` is how many units of depth are a metre, else 1000.
"""

import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder.conventions import pose_from
from pipeline.readers.folder.own import intrinsics_files, read_cameras
from pipeline.readers.folder.pairing import (
    COLOR,
    COLOR_ENDINGS,
    DEPTH,
    DEPTH_ENDINGS,
    Group,
    in_folder,
    paired,
)
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

NAME = "results/frame*.jpg and depth*.png, or rgb/ and depth/, with traj.txt (Replica)"
CAMERA = "cam_params.json"
PARTS = {
    "results/frame000000.jpg": r"results/frame[^/]*[0-9]\.(jpe?g|png)",
    "results/depth000000.png": r"results/depth[^/]*[0-9]\.png",
    "traj.txt": r"(traj|traj_w_c|trajectory|poses?)\.txt",
    f"{CAMERA} or intrinsics.txt": r"(cam_params\.json|[^/]*intrinsics?\.txt)",
}
OUTER = (CAMERA,)

_TRAJECTORIES = ("traj.txt", "traj_w_c.txt", "trajectory.txt", "poses.txt", "pose.txt")
_RESULTS = re.compile(
    r"results/(frame|depth)[_-]?[0-9]{1,9}\.(?:jpe?g|png|webp|tiff?|npy|exr)", re.I
)


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    kinds, poses = _kinds(names), next((n for n in _TRAJECTORIES if n in names), None)
    if poses is None or not all(kinds.values()):
        return {}
    found = {name: path for files in kinds.values() for name, path in files.items()}
    camera = {CAMERA: names[CAMERA]} if CAMERA in names else intrinsics_files(names)
    return found | {poses: names[poses]} | camera


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files. Raises `BadInput` where poses and images do not fit together."""
    frames = paired(_kinds(files))
    where = files[next(n for n in _TRAJECTORIES if n in files)]
    poses = _poses(where)
    first = _number_of_first(list(frames), len(poses), where)
    views = [View(i, f["color"], f["depth"], poses[i - first]) for i, f in frames.items()]
    if CAMERA not in files:
        return Recording(views, *read_cameras(files))
    camera, size, scale = _camera(files[CAMERA])
    return Recording(views, camera, intrinsics_size=size, depth_scale=scale)


def _kinds(names: Mapping[str, Path]) -> dict[str, Group]:
    results = {n: match[1].lower() for n in names if (match := _RESULTS.fullmatch(n))}
    if results:
        images = {n: names[n] for n, kind in results.items() if kind == "frame"}
        depth = {n: names[n] for n, kind in results.items() if kind == "depth"}
        return {"color": images, "depth": depth}
    return {
        "color": in_folder(names, COLOR, COLOR_ENDINGS),
        "depth": in_folder(names, DEPTH, DEPTH_ENDINGS),
    }


def _poses(path: Path) -> list[Array]:
    lines = [line.replace(",", " ").split() for line in read_text(path).splitlines()]
    rows = [line for line in lines if line and not line[0].startswith("#")]
    width = len(rows[0]) if rows else 0
    if width == 4:
        last = [_is_last_row(row) for row in rows]
        tall = 4 if any(last) else 3
        if len(rows) % tall or any(is_last and i % 4 != 3 for i, is_last in enumerate(last)):
            raise BadInput(path, f"has {len(rows)} lines of four numbers, no stacked poses", FIX)
        rows = [list(chain(*rows[i : i + tall])) for i in range(0, len(rows), tall)]
    elif width not in (12, 16):
        what = f"has {width} numbers in its first line"
        raise BadInput(path, what, "write a pose a line, as 16 or 12 numbers, row by row")
    what = f"a pose of {len(rows[0])} numbers in each line"
    values = [numbers(row, (len(rows[0]),), path, what) for row in rows]
    return [pose_from(each.reshape(-1, 4)) for each in values]


def _is_last_row(row: list[str]) -> bool:
    try:
        return [float(word) for word in row] == [0, 0, 0, 1]
    except ValueError:
        return False


def _number_of_first(ids: list[int], count: int, where: Path) -> int:
    """The number of the image that the first pose belongs to, 0 or 1."""
    if ids[0] == 0 and ids[-1] < count:
        return 0
    if ids[0] == 1 and ids[-1] == count == len(ids):
        return 1
    what = f"has {count} poses for images with the numbers {ids[0]} to {ids[-1]}"
    remedy = "number the images as the poses, from 0, or write one file for each pose into pose/"
    raise BadInput(where, what, remedy)


def _camera(path: Path) -> tuple[Array, tuple[int, int], float]:
    """Intrinsics, the size of their images, and how many units of depth are a metre."""
    values = read_json(path)
    values = values["camera"] if isinstance(values.get("camera"), dict) else values
    given = [values.get(name) for name in ("fx", "fy", "cx", "cy")]
    matrix = checked_intrinsics(pinhole(*numbers(given, (4,), path, "fx, fy, cx and cy")), path)
    (scale,) = numbers([values.get("scale", 1000.0)], (1,), path, "a scale")
    if not (scale > 0 and np.isfinite(scale)):
        raise BadInput(path, f"has the scale {scale}", "give the units of depth in a metre")
    return matrix, image_size_in(values, "w", "h", path), float(scale)
