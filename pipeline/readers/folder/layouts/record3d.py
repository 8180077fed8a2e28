"""Record3D's exports, `.r3d` (as it is, or unpacked) and "EXR + JPG".

    metadata (or metadata.json)   rgbd/<i>.jpg   rgbd/<i>.depth (float32 metres, LZFSE)
    rgbd/<i>.conf (of some phones: how sure they are, bytes, LZFSE)
    metadata.json   rgb/<i>.jpg or .png   depth/<i>.exr (metres)

The metadata contain, for each frame, a pose (quaternion x, y, z, w and position, camera to world
with ARKit's axes, y up) and, in later versions, intrinsics (fx, fy, cx, cy) beside `K`, which is
column-major. They refer to images of `w` x `h`, whatever the size of the images.
"""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BadInput
from pipeline.geometry.poses import is_rigid
from pipeline.readers.folder.depth import decode_exr, decode_lzfse, exr_size
from pipeline.readers.folder.recording import Recording, content
from pipeline.readers.folder.values import (
    FIX,
    OPENGL,
    Array,
    checked_intrinsics,
    image_size_in,
    numbers,
    parse_json,
    pinhole,
    pose_of,
    read_json,
)
from pipeline.readers.folder.views import Blob, View

NAME = "an .r3d file, or metadata with rgbd/ or with rgb/ and depth/*.exr (Record3D)"

PARTS = {
    "metadata": r"metadata(\.json)?",
    "rgbd/0.jpg or rgb/0.jpg": r"rgbd?/[0-9]+\.(jpg|png)",
    "rgbd/0.depth or depth/0.exr": r"(rgbd/[0-9]+\.depth|depth/[0-9]+\.exr)",
}

_FILE = re.compile(
    r"(?:rgbd/([0-9]{1,9})\.(?:jpg|depth|conf)|rgb/([0-9]{1,9})\.(?:jpg|png)|depth/([0-9]{1,9})\.exr)"
)
_METADATA = ("metadata", "metadata.json")
_KINDS = {"depth": "depth", "exr": "depth", "conf": "confidence"}
LARGEST = 1 << 26  # bytes of a file in an archive: an image has some MB, the poses of hours too
_WHAT = {"K": "a 3 x 3 matrix K", "poses": "a quaternion and a position per pose"}


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    archives = [name for name in names if name.lower().endswith(".r3d") and "/" not in name]
    if len(archives) == 1:
        return {archives[0]: names[archives[0]]}
    wanted = [name for name in names if _FILE.fullmatch(name)]
    metadata = [name for name in _METADATA if name in names]
    return {name: names[name] for name in (*metadata[:1], *wanted)} if metadata and wanted else {}


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files. Raises `BadInput`."""
    for name, path in files.items():
        if name.lower().endswith(".r3d"):
            return _archived(path)
    where = next(files[name] for name in _METADATA if name in files)
    return _recording(read_json(where), files, where)


def _archived(path: Path) -> Recording:
    try:
        archive = zipfile.ZipFile(path)
        names = archive.namelist()
        large = [each for each in archive.infolist() if each.file_size > LARGEST]
        if large:
            size = f"{large[0].file_size / 2**20:.0f} MB"
            raise ValueError(f"{large[0].filename} in it would have {size}, which no recording has")
        text = archive.read("metadata").decode("utf-8")
    except Exception as error:  # a damaged archive can raise anything
        raise BadInput(path, f"is not a readable .r3d archive ({error})", FIX) from None
    return _recording(
        parse_json(text, path), {name: zipfile.Path(archive, name) for name in names}, path
    )


def _recording(metadata: dict[str, Any], files: Mapping[str, Blob], where: Path) -> Recording:
    frames: dict[int, dict[str, Blob]] = {}
    for name, blob in files.items():
        if match := _FILE.fullmatch(name):
            kind = _KINDS.get(name.rpartition(".")[2], "color")
            frames.setdefault(int(next(filter(None, match.groups()))), {})[kind] = blob
    poses, cameras = metadata.get("poses"), metadata.get("perFrameIntrinsicCoeffs")
    if not isinstance(poses, list) or not frames or max(frames) >= len(poses):
        known = len(poses) if isinstance(poses, list) else 0
        what = f"has {known} poses for {len(frames)} frames"
        raise BadInput(where, what, FIX)
    views = []
    for i, frame in sorted(frames.items()):
        if not {"color", "depth"} <= frame.keys():
            what = f"has no {'color' if 'depth' in frame else 'depth'} image of frame {i}"
            raise BadInput(where, what, FIX)
        pose = numbers(poses[i], (7,), where, _WHAT["poses"])
        to_world = pose_of(pose[:4], pose[4:]) @ OPENGL
        time, sure = _time(metadata, i), frame.get("confidence")
        views.append(View(i, frame["color"], frame["depth"], to_world, time, sure))
    if isinstance(cameras, list) and len(cameras) >= len(poses):
        intrinsics = np.stack([_camera(cameras[view.frame_id], where) for view in views])
    else:
        matrix = numbers(metadata.get("K"), (9,), where, _WHAT["K"]).reshape(3, 3).T
        intrinsics = checked_intrinsics(matrix, where)
    if str(views[0].depth).endswith(".exr"):
        # A frame with a pose, since the images of the others may be incomplete.
        first = next((v for v in views if is_rigid(v.camera_to_world)), views[0])
        size, read_depth = exr_size(content(first.depth), str(first.depth)), decode_exr
    else:
        size, read_depth = image_size_in(metadata, "dw", "dh", where), decode_lzfse
    return Recording(
        views,
        intrinsics,
        intrinsics_size=image_size_in(metadata, "w", "h", where),
        up="y",
        depth_size=size,
        read_depth=read_depth,
    )


def _camera(values: Any, where: Path) -> Array:
    return checked_intrinsics(
        pinhole(*numbers(values, (4,), where, "fx, fy, cx and cy per frame")), where
    )


def _time(metadata: Mapping[str, Any], index: int) -> int:
    """Microseconds since the recording began, 0 where it is unknown."""
    times = metadata.get("frameTimestamps")
    if isinstance(times, list) and index < len(times) and isinstance(times[index], int | float):
        return round(times[index] * 1e6) if abs(times[index]) < 1e12 else 0
    return 0
