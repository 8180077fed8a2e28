"""Write perspective images like 2D-3D-S: colour, depth and the pose file with all its fields."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

DEPTH_SCALE = 512
MISSING = 65535
_BLENDER = np.diag([1.0, -1.0, -1.0])  # its cameras look along -z with y up


@dataclass(frozen=True, eq=False)
class View:
    """One perspective image; `intrinsics` in this project's pixels (first centre at 0)."""

    camera: str  # 32 hexadecimal digits: the id of the standpoint
    frame: int  # from 0 for each camera
    rgb: NDArray[np.uint8]  # (h, w, 3), or (h, w, 4) as some images of the release
    depth: NDArray[np.floating]  # (h, w) metres along the line of sight, 0 = nothing measured
    intrinsics: Array  # (3, 3)
    camera_to_world: Array  # (4, 4) in the coordinates of the image's own area


def write_view(data: Path, area: str, room: str, view: View) -> None:
    """Write the three files of an image into the folders of `data` = `<area>/data`.

    `area` is the number that names rooms end with: "5" for area_5a and area_5b alike.
    """
    stem = f"camera_{view.camera}_{room}_frame_{view.frame}_domain"
    for kind in ("rgb", "depth", "pose"):
        (data / kind).mkdir(parents=True, exist_ok=True)
    Image.fromarray(view.rgb).save(data / "rgb" / f"{stem}_rgb.png", compress_level=1)
    depth = np.where(view.depth > 0, np.rint(view.depth * DEPTH_SCALE), MISSING)
    coded = Image.fromarray(np.clip(depth, 1, MISSING).astype(np.uint16))
    coded.save(data / "depth" / f"{stem}_depth.png", compress_level=1)
    fields = pose_fields(view, f"{room}_{area}")
    (data / "pose" / f"{stem}_pose.json").write_text(json.dumps(fields), encoding="ascii")


def pose_fields(view: View, room: str) -> dict[str, object]:
    """The content of the pose file: one rotation as a matrix and as Blender's Euler angles.

    E(a) = Rz(a2) Ry(a1) Rx(a0); R_w2c = diag(1, -1, -1) E(final)^T. As seen from the corner of
    the image, the principal point is half a pixel further than from the first pixel's centre.
    """
    rotation, place = view.camera_to_world[:3, :3], view.camera_to_world[:3, 3]
    euler = [0.0, 0.0, 0.0]
    if np.isfinite(rotation).all():
        euler = Rotation.from_matrix(rotation @ _BLENDER).as_euler("xyz").tolist()
    k = view.intrinsics.copy()
    k[:2, 2] += 0.5
    to_camera = np.column_stack([rotation.T, -rotation.T @ place])
    return {
        "camera_k_matrix": k.tolist(),
        "field_of_view_rads": float(2 * np.arctan(k[0, 2] / k[0, 0])),
        "camera_original_rotation": euler,
        "rotation_from_original_to_point": [0.0, 0.0, 0.0],
        "point_uuid": view.camera,
        "camera_uuid": view.camera,
        "camera_location": place.tolist(),
        "frame_num": view.frame,
        "camera_rt_matrix": to_camera.tolist(),
        "final_camera_rotation": euler,
        "room": room,
    }
