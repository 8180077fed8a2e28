"""Stray Scanner, an app for iPhones and iPads with LiDAR.

    rgb/000000.jpg (extracted from rgb.mp4)   depth/000000.png (mm)   confidence/000000.png
    camera_matrix.csv (3 x 3, of the video)
    odometry.csv: timestamp, frame, x, y, z, qx, qy, qz, qw

The pose is camera to world with OpenCV's axes in a world with y up. Line i of a file without a
header (old versions: x, y, z, qx, qy, qz, qw) is that of frame i. Source: strayrobots/scanner.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder.arkit_video import require_numbers_of_video, size_of_intrinsics
from pipeline.readers.folder.pairing import COLOR, COLOR_ENDINGS, DEPTH_ENDINGS, in_folder, paired
from pipeline.readers.folder.recording import Recording
from pipeline.readers.folder.values import (
    FIX,
    Array,
    checked_intrinsics,
    numbers,
    pose_of,
    read_text,
)
from pipeline.readers.folder.views import View

ODOMETRY, CAMERA = "odometry.csv", "camera_matrix.csv"
EXTRACT = "mkdir rgb && ffmpeg -i rgb.mp4 -vsync 0 -start_number 0 -q:v 2 rgb/%06d.jpg"
NAME = f"rgb/, depth/, {ODOMETRY} and {CAMERA} (Stray Scanner, its rgb.mp4 extracted)"
PARTS = {
    ODOMETRY: r"odometry\.csv",
    CAMERA: r"camera_matrix\.csv",
    "depth/000000.png": r"depth/[0-9]+\.(png|npy)",
    f"rgb/000000.jpg (no video is read: `{EXTRACT}`)": (
        r"(rgb|color|images)/[^/]*[0-9]\.(jpe?g|png)"
    ),
}

_COLUMNS = ("x", "y", "z", "qx", "qy", "qz", "qw")


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    color = in_folder(names, COLOR, COLOR_ENDINGS)
    depth = in_folder(names, ("depth",), DEPTH_ENDINGS)
    if ODOMETRY not in names or CAMERA not in names or not color or not depth:
        return {}
    sure = in_folder(names, ("confidence",), (".png",))
    return {ODOMETRY: names[ODOMETRY], CAMERA: names[CAMERA], **color, **depth, **sure}


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files: the frames that were extracted. Raises `BadInput`."""
    kinds = {
        "color": in_folder(files, COLOR, COLOR_ENDINGS),
        "depth": in_folder(files, ("depth",), DEPTH_ENDINGS),
    }
    sure = {
        int(p.stem): p
        for p in in_folder(files, ("confidence",), (".png",)).values()
        if p.stem.isdecimal()
    }
    require_numbers_of_video(kinds["color"], kinds["depth"], f"extract all frames: {EXTRACT}")
    frames, poses = paired(kinds, of="color"), _odometry(files[ODOMETRY])
    if unknown := [i for i in frames if i not in poses]:
        what = f"has no pose of frame {unknown[0]}, which {frames[unknown[0]]['color'].name} is"
        raise BadInput(files[ODOMETRY], what, f"number the images from 0: {EXTRACT}")
    views = [
        View(i, f["color"], f["depth"], poses[i], confidence=sure.get(i)) for i, f in frames.items()
    ]
    text = read_text(files[CAMERA]).replace(",", " ").split()
    matrix = numbers(text, (9,), files[CAMERA], "a 3 x 3 matrix").reshape(3, 3)
    camera = checked_intrinsics(matrix, files[CAMERA])
    size = size_of_intrinsics(camera, [v.color for v in views], files[CAMERA])
    return Recording(views, camera, intrinsics_size=size, up="y")


def _odometry(path: Path) -> dict[int, Array]:
    """Frame -> pose."""
    rows = [line.replace(",", " ").split() for line in read_text(path).splitlines()]
    rows = [row for row in rows if row]
    if not rows:
        raise BadInput(path, "is empty", FIX)
    names = list(_COLUMNS)
    if any(word[:1].isalpha() and word.lower() not in ("nan", "inf") for word in rows[0]):
        names = [word.lower() for word in rows.pop(0)]
    if lacking := [name for name in _COLUMNS if name not in names]:
        raise BadInput(path, f"has no column {lacking[0]}", FIX)
    where = [names.index(name) for name in _COLUMNS]
    poses: dict[int, Array] = {}
    for i, row in enumerate(rows):
        values = numbers(row, (len(names),), path, f"the columns {', '.join(names)} per line")
        frame = values[names.index("frame")] if "frame" in names else i
        if not (0 <= frame < 1e9 and frame == int(frame)) or int(frame) in poses:
            raise BadInput(path, f"has the frame {frame:g} twice, or it is no number", FIX)
        given = values[where]
        poses[int(frame)] = pose_of(given[3:], given[:3])
    if not np.isfinite(list(poses.values())).any():
        raise BadInput(path, "contains no pose", FIX)
    return poses
