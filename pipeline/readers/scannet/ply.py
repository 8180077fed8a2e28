"""The two meshes of a scan: binary PLY files with coloured vertices and triangles."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData

from pipeline.errors import BadInput

DOWNLOAD = "download it again"
HEADER_BYTES = 65536  # far more than any header has
END = b"\nend_header\n"
LIST = b"property list uchar int vertex_indices"


def read_mesh(path: Path) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    """Vertices (V,) with fields x, y, z, red, green, blue (and label), faces (F, 3) of indices.

    Raises `BadInput` for a file that is no such mesh, is shorter or longer than its header says,
    has no vertex, a position that is not finite or a face of vertices that do not exist.
    """
    header_bytes, size = _check_header(path)
    try:
        # the known length lets plyfile map the faces; it checks the counts against the file
        ply = PlyData.read(str(path), known_list_len={"face": {"vertex_indices": 3}})
        vertices = np.array(ply["vertex"].data)
        faces = np.array(ply["face"].data["vertex_indices"], np.int32).reshape(-1, 3)
        xyz = xyz_of(vertices)
        vertices[["red", "green", "blue"]]
    except Exception as error:  # plyfile lets numpy's exceptions through on a damaged file
        raise BadInput(path, f"is no mesh that can be read ({error})", DOWNLOAD) from None
    if header_bytes + vertices.nbytes + 13 * len(faces) != size:
        raise BadInput(path, f"is longer ({size} bytes) than its header says", DOWNLOAD)
    if not np.isfinite(xyz).all():
        raise BadInput(path, "has a vertex whose position is not finite", DOWNLOAD)
    if len(faces) and not (faces.min() >= 0 and faces.max() < len(vertices)):
        raise BadInput(path, "has a face whose vertex does not exist", DOWNLOAD)
    return vertices, faces


def _check_header(path: Path) -> tuple[int, int]:
    """Length of the header and of the file; refuses what plyfile would allocate for blindly."""
    try:
        with open(path, "rb") as file:
            header = file.read(HEADER_BYTES)
            size = file.seek(0, 2)
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", DOWNLOAD) from None
    header = header[: header.find(END) + len(END)] if END in header else b""
    lines = header.split(b"\n")
    if lines[:2] != [b"ply", b"format binary_little_endian 1.0"]:
        raise BadInput(path, "is no binary PLY file", DOWNLOAD)
    elements = [line for line in lines if line.startswith(b"element")]
    counts = re.fullmatch(
        rb"element vertex ([0-9]{1,15}) element face ([0-9]{1,15})", b" ".join(elements)
    )
    lists = [line for line in lines if line.startswith(b"property list")]
    if counts is None or lists != [LIST]:
        raise BadInput(path, "does not hold the vertices and triangles of a mesh", DOWNLOAD)
    vertices, faces = int(counts[1]), int(counts[2])
    if vertices == 0:
        raise BadInput(path, "has no vertex", DOWNLOAD)
    if len(header) + vertices * 15 + faces * 13 > size:  # 15 bytes: position and colour
        raise BadInput(
            path, f"claims {vertices} vertices and {faces} faces for {size} bytes", DOWNLOAD
        )
    return len(header), size


def xyz_of(vertices: NDArray[np.void]) -> NDArray[np.float32]:
    """Positions (V, 3) of vertices read by `read_mesh`, metres."""
    return np.stack([vertices[axis] for axis in "xyz"], axis=1).astype(np.float32)
