"""ARKit's frames as 3D Scanner App exports them ("all data").

    frame_00000.json   frame_00000.jpg (of some frames only)   depth_00000.png (16 bit, mm)

A JSON file contains `cameraPoseARFrame` (4 x 4, row-major, camera to world with ARKit's axes, y
up) and `intrinsics` (3 x 3, row-major, of the colour image), which change with the focus.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder.recording import Recording
from pipeline.readers.folder.values import FIX, OPENGL, checked_intrinsics, numbers, read_json
from pipeline.readers.folder.views import View

NAME = "frame_00000.json, frame_00000.jpg and depth_00000.png (ARKit, 3D Scanner App)"

PARTS = {
    "frame_00000.json": r"frame_[0-9]+\.json",
    "frame_00000.jpg": r"frame_[0-9]+\.(jpg|png)",
    "depth_00000.png": r"depth_[0-9]+\.png",
}

_FILE = re.compile(r"(?:frame_([0-9]{1,9})\.(json|jpg|png)|depth_([0-9]{1,9})\.png)")


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    found = {name: path for name, path in names.items() if _FILE.fullmatch(name)}
    return found if any(name.endswith(".json") for name in found) else {}


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files: the frames that have a colour image. Raises `BadInput`."""
    frames: dict[int, dict[str, Path]] = {}
    for name, path in files.items():
        if match := _FILE.fullmatch(name):
            kind = "depth" if match[3] else "pose" if match[2] == "json" else "color"
            frames.setdefault(int(match[1] or match[3]), {})[kind] = path
    views, cameras = [], []
    for i, frame in sorted(frames.items()):
        if "color" not in frame:
            continue
        if lacking := [kind for kind in ("pose", "depth") if kind not in frame]:
            what = f"has no {' and no '.join(lacking)} file beside it"
            raise BadInput(frame["color"], what, FIX)
        path = frame["pose"]
        values = read_json(path)
        pose = numbers(values.get("cameraPoseARFrame"), (16,), path, "a pose").reshape(4, 4)
        matrix = numbers(values.get("intrinsics"), (9,), path, "intrinsics").reshape(3, 3)
        cameras.append(checked_intrinsics(matrix, path))
        views.append(View(i, frame["color"], frame["depth"], pose @ OPENGL))
    if not views:
        raise BadInput(next(iter(files.values())).parent, "contains no frame_*.jpg", FIX)
    return Recording(views, np.stack(cameras), up="y")
