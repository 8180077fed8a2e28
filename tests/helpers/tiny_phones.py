"""The frames of the room of planes as phones and their datasets have them."""

import json
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.scan import Frame
from tests.helpers.room_frames import (
    ARKIT,
    COLOR_SIZE,
    DEPTH_SIZE,
    K_COLOR,
    Y_UP,
    encoded,
    put,
    quaternion,
)

FX, FY, CX, CY = K_COLOR[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()
WIDTH, HEIGHT = COLOR_SIZE
SCENE = "47333462"


def confidence(value: int) -> bytes:
    """An image of one confidence."""
    return encoded(np.full(DEPTH_SIZE[::-1], value, np.uint8), "PNG")


def write_polycam(folder: Path, written: list[Frame], corrected: bool = False) -> None:
    """keyframes/, names in microseconds; `corrected` adds optimised images and cameras."""
    for f in written:
        name = 100 + f.frame_id
        kinds = {"": f.camera_to_world}
        if corrected:
            drifted = f.camera_to_world.copy()
            drifted[0, 3] += 0.3
            kinds = {"": drifted, "corrected_": f.camera_to_world}
        for kind, pose in kinds.items():
            rows = (Y_UP @ pose @ ARKIT)[:3]
            camera = {f"t_{i}{j}": x for i, row in enumerate(rows) for j, x in enumerate(row)}
            camera |= {"fx": FX, "fy": FY, "cx": CX, "cy": CY, "width": WIDTH, "height": HEIGHT}
            put(folder / f"keyframes/{kind}images/{name}.jpg", f.color)
            put(folder / f"keyframes/{kind}cameras/{name}.json", json.dumps(camera))
        put(folder / f"keyframes/depth/{name}.png", encoded(f.depth, "PNG"))
        put(folder / f"keyframes/confidence/{name}.png", confidence(127))


def write_stray(folder: Path, written: list[Frame], header: bool = True) -> None:
    """With the images of rgb.mp4 extracted."""
    lines = ["timestamp, frame, x, y, z, qx, qy, qz, qw"] if header else []
    for f in written:
        name = f"{f.frame_id:06d}"
        put(folder / f"rgb/{name}.jpg", f.color)
        put(folder / f"depth/{name}.png", encoded(f.depth, "PNG"))
        put(folder / f"confidence/{name}.png", confidence(2))
        pose = Y_UP @ f.camera_to_world
        known = np.isfinite(pose).all()
        values = [*pose[:3, 3], *quaternion(pose)] if known else [float("nan")] * 7
        first = [repr(f.frame_id / 60), name] if header else []
        lines.append(", ".join([*first, *(repr(float(x)) for x in values)]))
    put(folder / "odometry.csv", "\n".join(lines) + "\n")
    put(folder / "camera_matrix.csv", "\n".join(", ".join(map(repr, r)) for r in K_COLOR.tolist()))


def write_arkit_scenes(folder: Path, written: list[Frame]) -> None:
    """Depth 1 ms after colour; the pose 2 ms before, and none where tracking was lost."""
    lines = []
    for f in written:
        time = 65.3 + f.frame_id / 10
        put(folder / f"lowres_wide/{SCENE}_{time:.3f}.png", f.color)
        put(folder / f"lowres_depth/{SCENE}_{time + 0.001:.3f}.png", encoded(f.depth, "PNG"))
        put(folder / f"confidence/{SCENE}_{time + 0.001:.3f}.png", confidence(1))
        camera = " ".join(repr(float(x)) for x in (WIDTH, HEIGHT, FX, FY, CX, CY))
        put(folder / f"lowres_wide_intrinsics/{SCENE}_{time:.3f}.pincam", camera)
        if np.isfinite(f.camera_to_world).all():
            pose = np.linalg.inv(f.camera_to_world)
            values = [*Rotation.from_matrix(pose[:3, :3]).as_rotvec(), *pose[:3, 3]]
            text = " ".join(repr(float(x)) for x in values)
            lines.append(f"{time - 0.002!r} {text}")
    put(folder / "lowres_wide.traj", "\n".join(lines) + "\n")


def write_scannet_pp(folder: Path, written: list[Frame]) -> None:
    """Extracted, in iphone/; ARKit's own poses are elsewhere."""
    known = {}
    for f in written:
        name = f"frame_{f.frame_id:06d}"
        put(folder / f"iphone/rgb/{name}.jpg", f.color)
        put(folder / f"iphone/depth/{name}.png", encoded(f.depth, "PNG"))
        known[name] = {
            "timestamp": f.frame_id / 60,
            "pose": (f.camera_to_world + np.eye(4)).tolist(),
            "intrinsic": K_COLOR.tolist(),
            "imu": {},
            "aligned_pose": f.camera_to_world.tolist(),
        }
    put(folder / "iphone/pose_intrinsic_imu.json", json.dumps(known))
