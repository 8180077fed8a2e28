"""The iPhone's frames of ScanNet++, extracted by its toolkit (`iphone.prepare_iphone_data`).

    rgb/frame_000000.jpg   depth/frame_000000.png (mm)   pose_intrinsic_imu.json

in the scan's folder or in its `iphone/`. For each frame the JSON file has `aligned_pose` (camera to
world with OpenCV's axes, in the world of the scan's mesh) and `intrinsic` (3 x 3) of the video.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder.arkit_video import require_numbers_of_video, size_of_intrinsics
from pipeline.readers.folder.conventions import pose_from
from pipeline.readers.folder.pairing import COLOR_ENDINGS, DEPTH_ENDINGS, Group, in_folder, paired
from pipeline.readers.folder.recording import Recording
from pipeline.readers.folder.values import FIX, Array, checked_intrinsics, numbers, read_json
from pipeline.readers.folder.views import View

FILE = "pose_intrinsic_imu.json"
NAME = f"iphone/ with rgb/, depth/ and {FILE} (ScanNet++)"
PARTS = {
    FILE: r"pose_intrinsic_imu\.json",
    "rgb/frame_000000.jpg (the toolkit's prepare_iphone_data extracts rgb.mkv)": (
        r"rgb/[^/]*[0-9][^/]*\.(jpe?g|png)"
    ),
    "depth/frame_000000.png (the toolkit's prepare_iphone_data extracts depth.bin)": (
        r"depth/[^/]*[0-9]\.png"
    ),
}


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    kinds = _kinds(names)
    if FILE not in names or not all(kinds.values()):
        return {}
    return {FILE: names[FILE], **kinds["color"], **kinds["depth"]}


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files: the frames that were extracted. Raises `BadInput`."""
    where = files[FILE]
    known = {int(n[-1]): v for k, v in read_json(where).items() if (n := re.findall(r"\d+", k))}
    kinds = _kinds(files)
    require_numbers_of_video(kinds["color"], kinds["depth"], "number images as frames of the video")
    frames = paired(kinds, of="color")
    views, cameras = [], []
    for i, f in frames.items():
        values = known.get(i)
        if not isinstance(values, dict):
            raise BadInput(where, f"has no frame {i}, which {f['color'].name} is", FIX)
        pose = _matrix(values.get("aligned_pose", values.get("pose")), 4, where, "an aligned_pose")
        views.append(View(i, f["color"], f["depth"], pose_from(pose)))
        camera = _matrix(values.get("intrinsic"), 3, where, "an intrinsic")
        cameras.append(checked_intrinsics(camera, where))
    size = size_of_intrinsics(cameras[0], [v.color for v in views], where)
    return Recording(views, np.stack(cameras), intrinsics_size=size)


def _kinds(names: Mapping[str, Path]) -> dict[str, Group]:
    return {
        "color": in_folder(names, ("rgb",), COLOR_ENDINGS),
        "depth": in_folder(names, ("depth",), DEPTH_ENDINGS),
    }


def _matrix(rows: Any, side: int, where: Path, what: str) -> Array:
    flat = (
        [x for row in rows for x in row]
        if isinstance(rows, list) and all(isinstance(row, list) for row in rows)
        else rows
    )
    return numbers(flat, (side * side,), where, f"{what} of {side} x {side}").reshape(side, side)
