"""7-Scenes, 3DMatch, 12-Scenes, BundleFusion, 3RScan: all files of all frames in one folder.

    frame-000000.color.png or .jpg   frame-000000.depth.png or .pgm (16 bit, mm, 65535 missing)
    frame-000000.pose.txt (4 x 4, camera to world)
    camera-intrinsics.txt (3 x 3; of 3DMatch), or info.txt (see `info_text`)

Where both are there they must be of one camera, and `info.txt`, which says more, is read.

7-Scenes was never calibrated: without a file the depth camera has the focal length that its authors
give, 585 px, the colour camera the 525 px of any Kinect, and the 2.5 cm between them are ignored.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder import info_text
from pipeline.readers.folder.recording import Recording
from pipeline.readers.folder.values import FIX, Array, pinhole, read_intrinsics, read_pose
from pipeline.readers.folder.views import View

NAME = "frame-000000.color.png, .depth.png and .pose.txt (7-Scenes, 3DMatch, BundleFusion)"
PARTS = {
    "frame-000000.color.png": r"frame-[0-9]+\.color\.(png|jpg)",
    "frame-000000.depth.png": r"frame-[0-9]+\.depth\.(png|pgm)",
    "frame-000000.pose.txt": r"frame-[0-9]+\.pose\.txt",
}
INTRINSICS = "camera-intrinsics.txt"
OUTER = (INTRINSICS,)
_SAME = 0.02  # relative difference of focal lengths of one camera by two programs
SIZE = (640, 480)  # of the images that the intrinsics below refer to
COLOR, DEPTH = pinhole(525, 525, 320, 240), pinhole(585, 585, 320, 240)

_FILE = re.compile(r"frame-([0-9]{1,9})\.(?:(color)\.(?:png|jpg)|(depth)\.(?:png|pgm)|(pose)\.txt)")


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    found = {name: path for name, path in names.items() if _FILE.fullmatch(name)}
    wanted = (INTRINSICS, *info_text.NAMES) if found else ()
    return found | {name: names[name] for name in wanted if name in names}


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files. Raises `BadInput` where a frame lacks one of its three files."""
    frames: dict[int, dict[str, Path]] = {}
    for name, path in files.items():
        if match := _FILE.fullmatch(name):
            kind = match[2] or match[3] or match[4]
            frames.setdefault(int(match[1]), {})[kind] = path
    for frame in frames.values():
        if lacking := [kind for kind in ("color", "depth", "pose") if kind not in frame]:
            what = f"has no {' and no '.join(lacking)} file beside it"
            raise BadInput(next(iter(frame.values())), what, FIX)
    views = [
        View(i, frame["color"], frame["depth"], read_pose(frame["pose"]))
        for i, frame in sorted(frames.items())
    ]
    if info := next((files[name] for name in info_text.NAMES if name in files), None):
        known = info_text.read_info(info)
        if INTRINSICS in files:
            _require_one_camera(files[INTRINSICS], info, known)
        return Recording(views, known.color, known.depth, known.size, known.depth_scale)
    if INTRINSICS in files:
        return Recording(views, read_intrinsics(files[INTRINSICS]))
    return Recording(views, COLOR, DEPTH, SIZE)


def _require_one_camera(path: Path, info: Path, known: info_text.Info) -> None:
    """Raise `BadInput` where two files beside the frames describe cameras of other angles."""
    own = _angles(read_intrinsics(path))
    if any(np.allclose(own, _angles(k), rtol=_SAME, atol=0) for k in (known.color, known.depth)):
        return
    said = " and ".join(f"{angle:.0f}" for angle in _degrees(own))
    there = " and ".join(f"{angle:.0f}" for angle in _degrees(_angles(known.color)))
    what = f"is of a camera that sees {said} degrees, {info.name} of one that sees {there}"
    raise BadInput(path, what, "remove the file that is of another camera")


def _angles(intrinsics: Array) -> Array:
    """Focal lengths (2,) in units of the principal point: equal for images of any size."""
    return np.diag(intrinsics)[:2] / intrinsics[:2, 2]


def _degrees(angles: Array) -> Array:
    return np.degrees(2 * np.arctan(1 / angles))
