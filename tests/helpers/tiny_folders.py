"""A few frames of the room of planes, written in each layout of folders."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lzfse
import numpy as np
import OpenEXR

from pipeline.geometry.cameras import scale_intrinsics
from pipeline.scan import Frame
from tests.helpers.room_frames import (
    ARKIT,
    COLOR_SIZE,
    DEPTH_SIZE,
    K_COLOR,
    K_DEPTH,
    Y_UP,
    encoded,
    frames,
    put,
    quaternion,
)
from tests.helpers.tiny_layouts import (
    write_colmap,
    write_flat,
    write_numbered,
    write_replica,
    write_stacked,
    write_transforms,
)
from tests.helpers.tiny_phones import (
    write_arkit_scenes,
    write_polycam,
    write_scannet_pp,
    write_stray,
)


def write_own(folder: Path, written: list[Frame]) -> None:
    for f in written:
        put(folder / f"color/{f.frame_id:05d}.jpg", f.color)
        put(folder / f"depth/{f.frame_id:05d}.png", encoded(f.depth, "PNG"))
        put(folder / f"pose/{f.frame_id:05d}.txt", f.camera_to_world)
    put(folder / "intrinsics.txt", K_COLOR)


def write_export(folder: Path, written: list[Frame]) -> None:
    write_own(folder, written)
    (folder / "intrinsics.txt").unlink()
    for kind, matrix in (("color", K_COLOR), ("depth", K_DEPTH)):
        whole = np.eye(4)
        whole[:3, :3] = matrix
        put(folder / f"intrinsic/intrinsic_{kind}.txt", whole)


def write_tum(folder: Path, written: list[Frame]) -> None:
    """Depth 1/5000 m, taken 4 ms after colour; a trajectory of 100 Hz."""
    lists: dict[str, list[str]] = {"rgb": ["# color images"], "depth": [], "groundtruth": ["# t"]}
    for f in written:
        time = 1305031102.175304 + f.frame_id / 30
        put(folder / f"rgb/{time:.6f}.jpg", f.color)
        depth = encoded((f.depth * 5).astype(np.uint16), "PNG")
        put(folder / f"depth/{time + 0.004:.6f}.png", depth)
        lists["rgb"].append(f"{time:.6f} rgb/{time:.6f}.jpg")
        lists["depth"].append(f"{time + 0.004:.6f} depth/{time + 0.004:.6f}.png")
        if np.isfinite(f.camera_to_world).all():
            numbers = [*f.camera_to_world[:3, 3], *quaternion(f.camera_to_world)]
            row = " ".join(repr(float(x)) for x in numbers)
            lists["groundtruth"].append(f"{time - 0.003:.6f} {row}")
    for name, lines in lists.items():
        put(folder / f"{name}.txt", "\n".join(lines) + "\n")
    put(folder / "intrinsics.txt", K_COLOR)


def write_three_d_match(folder: Path, written: list[Frame]) -> None:
    for f in written:
        name = f"frame-{f.frame_id:06d}"
        put(folder / f"{name}.color.png", f.color)
        depth = np.where(f.depth == 0, np.uint16(65535), f.depth)
        put(folder / f"{name}.depth.png", encoded(depth, "PNG"))
        put(folder / f"{name}.pose.txt", f.camera_to_world)
    put(folder / "camera-intrinsics.txt", K_COLOR)


def write_open3d(folder: Path, written: list[Frame]) -> None:
    log = ""
    for f in written:
        put(folder / f"color/{f.frame_id + 9:06d}-{f.frame_id * 33}.jpg", f.color)
        put(folder / f"depth/{f.frame_id + 9:06d}-{f.frame_id * 34}.png", encoded(f.depth, "PNG"))
        rows = [" ".join(repr(float(x)) for x in row) for row in f.camera_to_world]
        log += "\n".join([f"{f.frame_id} {f.frame_id} {f.frame_id + 1}", *rows, ""])
    put(folder / "scene/trajectory.log", log)
    camera = {"intrinsic_matrix": K_COLOR.T.ravel().tolist()}
    size = dict(zip(("width", "height"), COLOR_SIZE, strict=True))
    put(folder / "camera_primesense.json", json.dumps(camera | size))


def write_scanner_app(folder: Path, written: list[Frame]) -> None:
    """With frames that have no colour image, as most of the app's."""
    for f in written:
        values = {
            "cameraPoseARFrame": (Y_UP @ f.camera_to_world @ ARKIT).ravel().tolist(),
            "intrinsics": K_COLOR.ravel().tolist(),
            "time": 0.1,
        }
        for number in (f.frame_id, f.frame_id + 1000):
            put(folder / f"frame_{number:05d}.json", json.dumps(values))
            put(folder / f"depth_{number:05d}.png", encoded(f.depth, "PNG"))
        put(folder / f"frame_{f.frame_id:05d}.jpg", f.color)
        put(folder / f"conf_{f.frame_id:05d}.png", encoded(np.zeros((12, 16), np.uint8), "PNG"))


def metadata(written: list[Frame], per_frame: bool = True) -> str:
    """Record3D's, for colour images of half the size that the frames have."""
    poses = []
    for f in written:
        pose = Y_UP @ f.camera_to_world @ ARKIT
        found = np.isfinite(pose).all()
        poses.append([*quaternion(pose), *pose[:3, 3]] if found else [0.0] * 7)
    half = scale_intrinsics(K_COLOR, COLOR_SIZE, (COLOR_SIZE[0] // 2, COLOR_SIZE[1] // 2))
    values = {
        "w": COLOR_SIZE[0] // 2,
        "h": COLOR_SIZE[1] // 2,
        "dw": DEPTH_SIZE[0],
        "dh": DEPTH_SIZE[1],
        "K": half.T.ravel().tolist(),
        "poses": poses,
        "frameTimestamps": [f.frame_id / 60 for f in written],
    }
    if per_frame:
        values["perFrameIntrinsicCoeffs"] = [half[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()] * len(poses)
    return json.dumps(values)


def write_record3d(folder: Path, written: list[Frame]) -> None:
    """An `.r3d` file, unpacked."""
    put(folder / "metadata", metadata(written))
    for f in written:
        put(folder / f"rgbd/{f.frame_id}.jpg", f.color)
        put(folder / f"rgbd/{f.frame_id}.depth", lzfse.compress(metres(f.depth).tobytes()))


def write_r3d(folder: Path, written: list[Frame]) -> None:
    write_record3d(folder / "unpacked", written)
    with zipfile.ZipFile(folder / "capture.r3d", "w") as archive:
        for path in sorted((folder / "unpacked").rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder / "unpacked"))
                path.unlink()


def write_exr(folder: Path, written: list[Frame]) -> None:
    put(folder / "EXR_RGBD/metadata.json", metadata(written, per_frame=False))
    for f in written:
        put(folder / f"EXR_RGBD/rgb/{f.frame_id}.jpg", f.color)
        (folder / "EXR_RGBD/depth").mkdir(exist_ok=True)
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        file = OpenEXR.File(header, {"R": metres(f.depth)})
        file.write(str(folder / f"EXR_RGBD/depth/{f.frame_id}.exr"))


def metres(depth: np.ndarray) -> np.ndarray:
    """float32, NaN where nothing was measured."""
    return np.where(depth == 0, np.float32(np.nan), depth.astype(np.float32) / 1000)


@dataclass(frozen=True)
class Written:
    """A layout, with what its reader tells of frames that are given in millimetres."""

    write: Callable[[Path, list[Frame]], None]
    images: tuple[str, str]  # of frame {i}, colour and depth, as patterns
    unit: float = 1  # how many units of depth are a millimetre
    per_frame: bool = False  # whether every frame has intrinsics of its own

    def frames(self, **options: Any) -> list[Frame]:
        """`frames` in the depth unit of the layout."""
        made = frames(**options)
        return [replace(f, depth=np.rint(f.depth * self.unit).astype(np.uint16)) for f in made]


LAYOUTS = {
    "own": Written(write_own, ("color/0000{i}.jpg", "depth/0000{i}.png")),
    "export": Written(write_export, ("color/0000{i}.jpg", "depth/0000{i}.png")),
    "tum": Written(write_tum, ("rgb/*", "depth/*"), unit=5),
    "3dmatch": Written(
        write_three_d_match, ("frame-00000{i}.color.png", "frame-00000{i}.depth.png")
    ),
    "open3d": Written(write_open3d, ("color/*", "depth/*")),
    "scanner": Written(
        write_scanner_app, ("frame_0000{i}.jpg", "depth_0000{i}.png"), per_frame=True
    ),
    "record3d": Written(write_record3d, ("rgbd/{i}.jpg", "rgbd/{i}.depth"), per_frame=True),
    "exr": Written(write_exr, ("EXR_RGBD/rgb/{i}.jpg", "EXR_RGBD/depth/{i}.exr")),
    "transforms": Written(write_transforms, ("images/*", "depth/*")),
    "replica": Written(
        write_replica, ("results/frame00000{i}.jpg", "results/depth00000{i}.png"), unit=6.5535
    ),
    "stacked": Written(write_stacked, ("rgb/rgb_{i}.jpg", "depth/depth_{i}.png")),
    "polycam": Written(
        write_polycam, ("keyframes/images/10{i}.jpg", "keyframes/depth/10{i}.png"), per_frame=True
    ),
    "stray": Written(write_stray, ("rgb/00000{i}.jpg", "depth/00000{i}.png")),
    "arkitscenes": Written(write_arkit_scenes, ("lowres_wide/*", "lowres_depth/*"), per_frame=True),
    "scannet++": Written(
        write_scannet_pp,
        ("iphone/rgb/frame_00000{i}.jpg", "iphone/depth/frame_00000{i}.png"),
        per_frame=True,
    ),
    "colmap": Written(write_colmap, ("images/{i}.jpg", "depth/{i}.png")),
    "flat": Written(write_flat, ("00000{i}_color.jpg", "00000{i}_depth.png")),
    "numbered": Written(write_numbered, ("rgb/frame_000{i}.jpg", "depth/frame_000{i}.png")),
}
