"""Frames of the room of planes, and how their parts are written into files of any layout."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.geometry.cameras import scale_intrinsics
from pipeline.scan import Frame
from tests.helpers import planes

COLOR_SIZE, DEPTH_SIZE = (32, 24), (16, 12)
K_COLOR = planes.color_intrinsics(COLOR_SIZE)
K_DEPTH = scale_intrinsics(K_COLOR, COLOR_SIZE, DEPTH_SIZE)
LOST, BLIND = 2, 1  # the frame without a pose, and the one without depth
ARKIT = np.diag([1.0, -1.0, -1.0, 1.0])  # from OpenCV's camera axes, or back
# A world with y up, as ARKit's, seen from this project's with z up.
Y_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def frames(
    count: int = 5,
    color_size: tuple[int, int] = COLOR_SIZE,
    depth_size: tuple[int, int] = DEPTH_SIZE,
    k: planes.Array = K_COLOR,
    whole: bool = False,
) -> list[Frame]:
    """The room in millimetres; unless `whole`, one frame has lost its pose, one sees no depth."""
    scene, k_depth = planes.box_room(), scale_intrinsics(k, color_size, depth_size)
    made = []
    for i, pose in enumerate(planes.cameras(count)):
        rgb = planes.render(scene, k, pose, color_size)[0]
        depth = np.rint(planes.render(scene, k_depth, pose, depth_size)[1] * 1000)
        if not whole:
            depth = depth * (i != BLIND)
            pose = np.full((4, 4), np.nan) if i == LOST else pose
        made.append(Frame(i, 0, encoded(rgb, "JPEG"), depth.astype(np.uint16), pose))
    return made


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return file.getvalue()


def put(path: Path, content: bytes | str | np.ndarray) -> None:
    """Write bytes, text, or a matrix as numbers that read back exactly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, np.ndarray):
        content = "\n".join(" ".join(repr(float(x)) for x in row) for row in content) + "\n"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def quaternion(pose: planes.Array) -> planes.Array:
    """x, y, z, w of a rotation: the eigenvector of Bar-Itzhack's matrix (2000)."""
    (a, b, c), (d, e, f), (g, h, i) = pose[:3, :3]
    matrix = [
        [a - e - i, b + d, c + g, h - f],
        [b + d, e - a - i, f + h, c - g],
        [c + g, f + h, i - a - e, d - b],
        [h - f, c - g, d - b, a + e + i],
    ]
    return np.linalg.eigh(np.array(matrix))[1][:, -1]
