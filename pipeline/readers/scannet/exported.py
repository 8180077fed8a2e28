"""Frames exported from a `.sens` into folders, as many labs keep them.

    color/<i>.jpg   depth/<i>.png (16 bit, mm)   pose/<i>.txt (4 x 4)
    intrinsic/intrinsic_color.txt   intrinsic/intrinsic_depth.txt

as ScanNet's Python reader writes them. The names may be zero-padded and the intrinsics may be
beside the folders (`intrinsics_color.txt`), as in the bundle `scannet_frames_25k`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.geometry.poses import require_intrinsics
from pipeline.images import decode_depth, image_size, upright
from pipeline.scan import Frame

DEPTH_SCALE = 1000.0  # the exporters write the millimetres of the `.sens`
EXPORT = "export the scan again"
KINDS = {"color": {".jpg", ".jpeg", ".png"}, "depth": {".png"}, "pose": {".txt"}}


class ExportedFrames:
    """The frames of one exported scan (a `RawFrames`).

    `files` maps the path inside the scan's folder ("color/0.jpg") to the file. Raises `BadInput`
    where a frame lacks one of its files or the intrinsics are missing.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._color, self._depth, self._pose = (_by_frame(files, kind) for kind in KINDS)
        ids = sorted(self._color.keys() | self._depth.keys() | self._pose.keys())
        if not ids:
            folder = next(iter(files.values())).parent if files else "exported frames"
            raise BadInput(folder, "contains no frame", EXPORT)
        for frame_id in ids:
            have = {"color": self._color, "depth": self._depth, "pose": self._pose}
            if lacking := [kind for kind, paths in have.items() if frame_id not in paths]:
                path = next(paths[frame_id] for paths in have.values() if frame_id in paths)
                raise BadInput(path, f"has no {' and no '.join(lacking)} file beside it", EXPORT)
        self.frame_ids: Sequence[int] = ids
        self.color_size = _size(self._color[ids[0]])
        self.depth_size = _size(self._depth[ids[0]])
        self.depth_scale = DEPTH_SCALE
        self.color_intrinsics = _intrinsics(files, "color", self.color_size)
        self.depth_intrinsics = _intrinsics(files, "depth", self.depth_size)

    def pose(self, frame_id: int) -> NDArray[np.float64]:
        """camera_to_world (4, 4) as in the file: -inf where tracking was lost."""
        return _matrix(self._pose[frame_id])

    def read(self, frame_id: int) -> Frame:
        """One frame, without a timestamp (the exporters drop it). Raises `BadInput`."""
        color_path, depth_path = self._color[frame_id], self._depth[frame_id]
        color = upright(_bytes(color_path), self.color_size, str(color_path), EXPORT)
        return Frame(
            frame_id=frame_id,
            timestamp=0,
            color=color,
            depth=decode_depth(_bytes(depth_path), self.depth_size, str(depth_path), EXPORT),
            camera_to_world=self.pose(frame_id),
        )


def exported_names(folder: Path) -> dict[str, Path]:
    """The files of an exported scan in `folder` by their path in it; empty where there is none."""
    found = {}
    for kind, endings in KINDS.items():
        for path in sorted((folder / kind).glob("*")):
            if path.suffix.lower() in endings and path.stem.isdecimal():
                found[f"{kind}/{path.name}"] = path
    for name in _INTRINSIC_NAMES["color"] + _INTRINSIC_NAMES["depth"]:
        if (folder / name).is_file():
            found[name] = folder / name
    return found


_INTRINSIC_NAMES = {
    kind: (f"intrinsic/intrinsic_{kind}.txt", f"intrinsics_{kind}.txt")
    for kind in ("color", "depth")
}


def _by_frame(files: Mapping[str, Path], kind: str) -> dict[int, Path]:
    paths: dict[int, Path] = {}
    for name, path in files.items():
        if name.startswith(f"{kind}/"):
            if (frame_id := int(path.stem)) in paths:
                raise BadInput(path, f"is the second {kind} file of frame {frame_id}", EXPORT)
            paths[frame_id] = path
    return paths


def _intrinsics(files: Mapping[str, Path], kind: str, size: tuple[int, int]) -> NDArray[np.float64]:
    for name in _INTRINSIC_NAMES[kind]:
        if name in files:
            return require_intrinsics(_matrix(files[name])[:3, :3], files[name], EXPORT, size)
    folder = next(path for name, path in files.items() if "/" in name).parent.parent
    raise BadInput(folder / _INTRINSIC_NAMES[kind][0], "is missing", EXPORT)


def _matrix(path: Path) -> NDArray[np.float64]:
    try:
        return np.array(_bytes(path).split(), np.float64).reshape(4, 4)
    except ValueError:
        raise BadInput(path, "does not contain the 16 numbers of a 4 x 4 matrix", EXPORT) from None


def _size(path: Path) -> tuple[int, int]:
    return image_size(_bytes(path), str(path), EXPORT)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", EXPORT) from None
