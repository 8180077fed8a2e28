"""All files of all frames in one folder, told apart by words in their names.

    000012_color.jpg   000012_depth.png (mm)   000012_pose.txt   intrinsics.txt

or `color_000012.png`, `rgb-12.jpg`, `frame12.depth.png`: each has one of the words color, colour,
rgb, image, depth and pose. A pose is camera to world, 4 x 4 or 3 x 4.
"""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pipeline.readers.folder.layouts import seven_scenes
from pipeline.readers.folder.layouts.own import intrinsics_files, recording
from pipeline.readers.folder.pairing import (
    COLOR,
    COLOR_ENDINGS,
    DEPTH,
    DEPTH_ENDINGS,
    POSE,
    Group,
    numbers_in,
    paired,
)
from pipeline.readers.folder.recording import Recording
from pipeline.readers.folder.values import read_pose
from pipeline.readers.folder.views import View

NAME = "000012_color.jpg, 000012_depth.png, 000012_pose.txt and intrinsics.txt in one folder"
PARTS = {
    "000012_color.jpg": r"[^/]*(colou?r|rgb|image)[^/]*\.(jpe?g|png)",
    "000012_depth.png": r"[^/]*[0-9][^/]*depth\.png|[^/]*depth[^/]*[0-9]\.png",
    "000012_pose.txt": r"[^/]*[0-9][^/]*pose\.txt|[^/]*pose[^/]*[0-9]\.txt",
    "intrinsics.txt": r"([^/]*intrinsics?[^/]*|K)\.txt",
}

_KINDS = {
    "color": (COLOR, COLOR_ENDINGS),
    "depth": (DEPTH, DEPTH_ENDINGS),
    "pose": (POSE, (".txt",)),
}


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    kinds, cameras = _kinds(names), intrinsics_files(names)
    if not cameras or not all(kinds.values()) or seven_scenes.select(names):
        return {}
    return {name: path for files in kinds.values() for name, path in files.items()} | cameras


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files. Raises `BadInput` where a frame lacks one of its three files."""
    frames = paired(_kinds(files))
    views = [View(i, f["color"], f["depth"], read_pose(f["pose"])) for i, f in frames.items()]
    return recording(views, files)


def _kinds(names: Mapping[str, Path]) -> dict[str, Group]:
    found: dict[str, Group] = {kind: {} for kind in _KINDS}
    for name, path in names.items():
        words = set(re.findall(r"[a-z]+", PurePosixPath(name.lower()).stem))
        of = [kind for kind, (known, _) in _KINDS.items() if words & set(known)]
        numbered = len(of) == 1 and "/" not in name and numbers_in(name)
        if numbered and name.lower().endswith(_KINDS[of[0]][1]):
            found[of[0]][name] = path
    return found
