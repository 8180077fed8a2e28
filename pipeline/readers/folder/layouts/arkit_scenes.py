"""ARKitScenes, as its scripts download "raw" and "3dod" scans.

    lowres_wide/<scan>_<time>.png   lowres_depth/<scan>_<time>.png (mm)   lowres_wide.traj
    lowres_wide_intrinsics/<scan>_<time>.pincam   confidence/<scan>_<time>.png

or images of more pixels, `vga_wide/` or `wide/`, with intrinsics of their own. A line of the
trajectory is a time, a rotation (axis times angle) and a position, of world to camera with OpenCV's
axes, z up; a `.pincam` file is width, height, fx, fy, cx, cy. What is nearest in time belongs
together. Source: the documentation of apple/ARKitScenes.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.errors import BadInput
from pipeline.readers.folder.conventions import one_size, pose_from
from pipeline.readers.folder.recording import Recording
from pipeline.readers.folder.times import MAX_GAP, nearest, pairs
from pipeline.readers.folder.values import (
    FIX,
    MAX_SIDE,
    Array,
    Size,
    checked_intrinsics,
    numbers,
    pinhole,
    read_text,
)
from pipeline.readers.folder.views import View

NAME = "lowres_wide/, lowres_depth/, lowres_wide_intrinsics/ and lowres_wide.traj (ARKitScenes)"
TRAJECTORY = "lowres_wide.traj"
PARTS = {
    TRAJECTORY: r"lowres_wide\.traj",
    "lowres_wide/": r"(vga_wide|wide|lowres_wide)/[^/]*[0-9]\.(png|jpg)",
    "lowres_depth/": r"lowres_depth/[^/]*[0-9]\.png",
    "lowres_wide_intrinsics/": r"(vga_wide|wide|lowres_wide)_intrinsics/[^/]*[0-9]\.pincam",
}

_COLORS = ("vga_wide", "wide", "lowres_wide")
_TIME = re.compile(r"([a-z_]+)/(?:[^/]*_)?([0-9]{1,12}(?:\.[0-9]{1,12})?)\.(?:png|jpg|pincam)")


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    color = _color(names)
    if TRAJECTORY not in names or color is None or not _timed(names, "lowres_depth"):
        return {}
    kinds = (color, f"{color}_intrinsics", "lowres_depth", "confidence")
    wanted = [n for n in names if (m := _TIME.fullmatch(n)) and m[1] in kinds]
    return {n: names[n] for n in (TRAJECTORY, *wanted)}


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files; frames far from a pose in time have none. `BadInput`."""
    kind = _color(files) or _COLORS[-1]
    color, depth = _timed(files, kind), _timed(files, "lowres_depth")
    cameras, sure = _timed(files, f"{kind}_intrinsics"), _timed(files, "confidence")
    color_time, depth_time = np.array(list(color)), np.array(list(depth))
    together = pairs(color_time, depth_time)
    if len(together) == 0:
        where = next(iter(color.values())).parent
        what = f"has no image within {1000 * MAX_GAP:.0f} ms of one in lowres_depth"
        raise BadInput(where, what, FIX)
    times, poses = _trajectory(files[TRAJECTORY])
    of_pose, posed = nearest(times, color_time)
    of_camera, known = nearest(np.array(list(cameras)), color_time)
    camera_files, views = list(cameras.values()), []
    matrices: list[Array] = []
    sizes: list[Size] = []
    for i, j in together:
        image, deep = color[color_time[i]], depth[depth_time[j]]
        if not known[i]:
            raise BadInput(image, f"has no intrinsics in {kind}_intrinsics", FIX)
        matrix, size = _camera(camera_files[of_camera[i]])
        matrices.append(matrix)
        sizes.append(size)
        pose = poses[of_pose[i]] if posed[i] else np.full((4, 4), np.nan)
        time = round(float(color_time[i]) * 1e6)
        views.append(View(int(i), image, deep, pose, time, sure.get(depth_time[j])))
    size = one_size(sizes, camera_files[0].parent)
    return Recording(views, np.stack(matrices), intrinsics_size=size, up="z")


def _color(names: Mapping[str, Path]) -> str | None:
    kinds = {match[1] for name in names if (match := _TIME.fullmatch(name))}
    return next((c for c in _COLORS if c in kinds and f"{c}_intrinsics" in kinds), None)


def _timed(names: Mapping[str, Path], kind: str) -> dict[float, Path]:
    """Seconds -> file of a folder, in the order of time."""
    matches = ((_TIME.fullmatch(name), path) for name, path in names.items())
    return dict(sorted((float(m[2]), path) for m, path in matches if m and m[1] == kind))


def _trajectory(path: Path) -> tuple[Array, list[Array]]:
    rows = [line.split() for line in read_text(path).splitlines() if line.strip()]
    if not rows:
        raise BadInput(path, "is empty", FIX)
    what = "a time, a rotation and a position per line"
    values = np.stack([numbers(row, (7,), path, what) for row in rows])
    return values[:, 0], [_pose(row[1:4], row[4:]) for row in values]


def _pose(axis_angle: Array, position: Array) -> Array:
    if not np.isfinite([*axis_angle, *position]).all():
        return np.full((4, 4), np.nan)
    rotation = Rotation.from_rotvec(axis_angle).as_matrix()
    return pose_from(np.column_stack([rotation, position]), direction="world_to_camera")


def _camera(path: Path) -> tuple[Array, Size]:
    values = numbers(read_text(path).split(), (6,), path, "width, height, fx, fy, cx and cy")
    width, height = values[:2]
    if not all(0 < side <= MAX_SIDE and side == int(side) for side in (width, height)):
        raise BadInput(path, f"has images of {width:g} x {height:g} pixels", FIX)
    return checked_intrinsics(pinhole(*values[2:]), path), (int(width), int(height))
