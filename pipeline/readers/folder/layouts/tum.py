"""TUM RGB-D: lists of images by time, and the trajectory of the colour camera.

    rgb.txt, depth.txt: time and file   groundtruth.txt: time tx ty tz qx qy qz qw
    images of 640 x 480, depth (16 bit, 1/5000 m) registered to colour

Without `intrinsics.txt` (3 x 3) the camera is the one that the benchmark recommends for all its
sequences: ROS's default, to which the driver registers the depth.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder.recording import Recording
from pipeline.readers.folder.times import MAX_GAP, nearest, pairs
from pipeline.readers.folder.values import (
    FIX,
    Array,
    numbers,
    pinhole,
    pose_of,
    read_intrinsics,
    read_text,
)
from pipeline.readers.folder.views import View

NAME = "rgb.txt, depth.txt and groundtruth.txt (TUM RGB-D)"
LISTS = ("rgb.txt", "depth.txt", "groundtruth.txt")
INTRINSICS = "intrinsics.txt"
PARTS = {
    **{name: name.replace(".", r"\.") for name in LISTS},
    "rgb/": r"rgb/[^/]*\.(jpe?g|png)",
    "depth/": r"depth/[^/]*\.(jpe?g|png)",
}
DEPTH_SCALE = 5000.0
SIZE = (640, 480)
CAMERA = pinhole(525, 525, 319.5, 239.5)

_IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".npy", ".exr")


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    if not all(name in names for name in LISTS):
        return {}
    wanted = (*LISTS, INTRINSICS)
    return {n: p for n, p in names.items() if n in wanted or n.lower().endswith(_IMAGES)}


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files: each colour image with the depth image and the pose of its time.

    A colour image and a depth image belong together if each is the nearest to the other; in gaps of
    the trajectory the pose is NaN. Frames are numbered by the lines of `rgb.txt`.
    Raises `BadInput`.
    """
    color_time, color = _images(files, "rgb.txt")
    depth_time, depth = _images(files, "depth.txt")
    pose_time, poses = _trajectory(files["groundtruth.txt"])
    paired = pairs(color_time, depth_time)
    if len(paired) == 0:
        what = f"has no image within {1000 * MAX_GAP:.0f} ms of one in depth.txt"
        raise BadInput(files["rgb.txt"], what, FIX)
    of_pose, known = nearest(pose_time, color_time)
    views = [
        View(
            int(i),
            color[i],
            depth[j],
            poses[of_pose[i]] if known[i] else np.full((4, 4), np.nan),
            round(color_time[i] * 1e6),
        )
        for i, j in paired
    ]
    if INTRINSICS in files:
        camera, size = read_intrinsics(files[INTRINSICS]), None
    else:
        camera, size = CAMERA, SIZE
    return Recording(views, camera, intrinsics_size=size, depth_scale=DEPTH_SCALE)


def _images(files: Mapping[str, Path], listing: str) -> tuple[Array, list[Path]]:
    times, paths = [], []
    for line in _rows(files[listing]):
        name = line[1].removeprefix("./") if len(line) == 2 else ""
        if name not in files:
            raise BadInput(
                files[listing], f"names {' '.join(line)!r}, which is not a file here", FIX
            )
        times.append(_time(line[0], files[listing]))
        paths.append(files[name])
    return np.array(times), paths


def _trajectory(path: Path) -> tuple[Array, list[Array]]:
    what = "a time, a position and a quaternion per line"
    rows = [numbers(line, (8,), path, what) for line in _rows(path)]
    times = np.array([_time(row[0], path) for row in rows])
    return times, [pose_of(row[4:], row[1:4]) for row in rows]


def _rows(path: Path) -> list[list[str]]:
    lines = (line.strip() for line in read_text(path).splitlines())
    rows = [line.replace(",", " ").split() for line in lines if line and not line.startswith("#")]
    if not rows:
        raise BadInput(path, "is empty", FIX)
    return rows


def _time(value: str | float, path: Path) -> float:
    (time,) = numbers([value], (1,), path, "a time")
    if not abs(time) < 1e12:  # seconds; a number of microseconds must fit into 64 bits
        raise BadInput(path, f"has the time {value}", FIX)
    return float(time)
