"""Images with one file of all poses: Replica as NICE-SLAM renders it, and rgb/ and depth/.

    results/frame000000.jpg   results/depth000000.png   traj.txt   cam_params.json
    rgb/, depth/ (mm)   traj.txt, poses.txt or traj_w_c.txt   intrinsics.txt or cam_params.json

The poses are camera to world with OpenCV's axes: 16 or 12 numbers a line, or four lines for each.
Pose i is that of the image with the number i (from 0, or from 1 where there are as many). Lines
of 8 numbers are those of TUM, time tx ty tz qx qy qz qw, or begin with the image's number. The
camera's file may be one folder up; its `scale` is how many units of depth are a metre, else 1000.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.readers.folder.camera_json import camera_in
from pipeline.readers.folder.layouts.own import intrinsics_files, recording
from pipeline.readers.folder.pairing import (
    COLOR,
    COLOR_ENDINGS,
    DEPTH,
    DEPTH_ENDINGS,
    Group,
    in_folder,
    paired,
)
from pipeline.readers.folder.pose_lines import poses_of_images
from pipeline.readers.folder.recording import Recording
from pipeline.readers.folder.views import View

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
    poses = poses_of_images({i: f["color"] for i, f in frames.items()}, where)
    views = [View(i, f["color"], f["depth"], poses[i]) for i, f in frames.items()]
    made = recording(views, files)
    camera = camera_in(files)
    unit = None if camera is None else camera.depth_scale
    if unit is None and any(_RESULTS.fullmatch(name) for name in files):
        what = f"has no {CAMERA} with the scale of depth, which is no millimetre in Replica"
        raise BadInput(where.parent, what, "copy it from beside the scans (6553.5)")
    return made


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
