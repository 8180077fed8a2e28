"""The frames of the room of planes in the layouts of other programs and datasets."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.scan import Frame
from tests.helpers.planes import Array
from tests.helpers.room_frames import ARKIT, COLOR_SIZE, K_COLOR, encoded, put, quaternion

FX, FY, CX, CY = K_COLOR[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()
WIDTH, HEIGHT = COLOR_SIZE
REPLICA_UNITS = 6553.5  # of depth in a metre


def write_transforms(
    folder: Path,
    written: list[Frame],
    per_frame: bool = False,
    ending: bool = True,
    depth_key: str = "depth_file_path",
    **more: Any,
) -> None:
    """nerfstudio's: images/frame_00001.jpg, depth/frame_00001.png, poses with OpenGL's axes."""
    camera = {"fl_x": FX, "fl_y": FY, "cx": CX, "cy": CY, "w": WIDTH, "h": HEIGHT}
    entries = []
    for f in written:
        name = f"frame_{f.frame_id + 1:05d}"
        put(folder / f"images/{name}.jpg", f.color)
        put(folder / f"depth/{name}.png", encoded(f.depth, "PNG"))
        entry = {
            "file_path": f"./images/{name}" + (".jpg" if ending else ""),
            depth_key: f"depth/{name}.png",
            "transform_matrix": (f.camera_to_world @ ARKIT).tolist(),
        }
        entries.append(entry | (camera if per_frame else {}))
    values = ({} if per_frame else camera) | more | {"frames": entries}
    put(folder / "transforms.json", json.dumps(values))


def write_replica(folder: Path, written: list[Frame]) -> None:
    """As NICE-SLAM renders it; depth in 1/6553.5 m, here rounded once more."""
    for f in written:
        put(folder / f"results/frame{f.frame_id:06d}.jpg", f.color)
        depth = np.rint(f.depth * (REPLICA_UNITS / 1000)).astype(np.uint16)
        put(folder / f"results/depth{f.frame_id:06d}.png", encoded(depth, "PNG"))
    put(folder / "traj.txt", lines_of(written))
    camera = {"fx": FX, "fy": FY, "cx": CX, "cy": CY, "w": WIDTH, "h": HEIGHT}
    put(folder / "cam_params.json", json.dumps({"camera": camera | {"scale": REPLICA_UNITS}}))


def write_stacked(
    folder: Path, written: list[Frame], rows: int = 4, per_line: bool = False
) -> None:
    """rgb/, depth/ and one file of all poses, matrices of `rows` rows, or one in each line."""
    for f in written:
        put(folder / f"rgb/rgb_{f.frame_id}.jpg", f.color)
        put(folder / f"depth/depth_{f.frame_id}.png", encoded(f.depth, "PNG"))
    put(folder / "poses.txt", lines_of(written, rows, per_line))
    put(folder / "intrinsics.txt", K_COLOR)


def write_numbered(folder: Path, written: list[Frame]) -> None:
    """rgb/frame_0001.jpg, depth/frame_0001.png and poses/frame_0001.txt of 3 x 4 numbers."""
    for f in written:
        name = f"frame_{f.frame_id:04d}"
        put(folder / f"rgb/{name}.jpg", f.color)
        put(folder / f"depth/{name}.png", encoded(f.depth, "PNG"))
        put(folder / f"poses/{name}.txt", f.camera_to_world[:3])
    put(folder / "intrinsics.txt", K_COLOR)


def lines_of(written: list[Frame], rows: int = 4, per_line: bool = True) -> str:
    """All poses as text."""
    return "".join(
        (" " if per_line else "\n").join(text_of(row) for row in f.camera_to_world[:rows]) + "\n"
        for f in written
    )


def text_of(values: Array) -> str:
    return " ".join(repr(float(x)) for x in values)


def write_colmap(
    folder: Path, written: list[Frame], place: str = "sparse/0", points: str | None = ""
) -> None:
    """The model as text, with or without lines of points."""
    put(
        folder / f"{place}/cameras.txt",
        f"# one\n1 PINHOLE {WIDTH} {HEIGHT} {FX} {FY} {CX + 0.5} {CY + 0.5}\n",
    )
    lines = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME"]
    for f in written:
        put(folder / f"images/{f.frame_id}.jpg", f.color)
        put(folder / f"depth/{f.frame_id}.png", encoded(f.depth, "PNG"))
        if np.isfinite(f.camera_to_world).all():
            pose = np.linalg.inv(f.camera_to_world)
            x, y, z, w = quaternion(pose.astype(np.float64))
            values = text_of(np.array([w, x, y, z, *pose[:3, 3]]))
        else:
            values = " ".join(["nan"] * 7)
        lines.append(f"{f.frame_id} {values} 1 {f.frame_id}.jpg")
        lines += [] if points is None else [points]
    put(folder / f"{place}/images.txt", "\n".join(lines) + "\n")


def write_flat(folder: Path, written: list[Frame]) -> None:
    """All files in one folder."""
    for f in written:
        put(folder / f"{f.frame_id:06d}_color.jpg", f.color)
        put(folder / f"{f.frame_id:06d}_depth.png", encoded(f.depth, "PNG"))
        put(folder / f"{f.frame_id:06d}_pose.txt", f.camera_to_world)
    put(folder / "intrinsics.txt", K_COLOR)
