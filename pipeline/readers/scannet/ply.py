"""The two meshes of a scan: binary PLY files with coloured vertices and triangles."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData

from pipeline.errors import BadInput
from pipeline.readers.ply_header import Header, read_header

DOWNLOAD = "download it again"

_LIST = b"property list uchar int vertex_indices"
_VERTEX_BYTES, _FACE_BYTES = 15, 13  # position and colour; a count and three indices


def read_mesh(path: Path) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    """Vertices (V,) with fields x, y, z, red, green, blue (and label), faces (F, 3) of indices.

    Raises `BadInput` for a file that is not such a mesh, is shorter or longer than its header
    says, has no vertex, a position that is not finite or a face of vertices that do not exist.
    """
    header = read_header(path, DOWNLOAD, _VERTEX_BYTES, _FACE_BYTES)
    _check_mesh(path, header)
    try:
        # The known length lets plyfile map the faces; it checks the counts against the file.
        ply = PlyData.read(str(path), known_list_len={"face": {"vertex_indices": 3}})
        vertices = np.array(ply["vertex"].data)
        faces = np.array(ply["face"].data["vertex_indices"], np.int32).reshape(-1, 3)
        xyz = xyz_of(vertices)
        vertices[["red", "green", "blue"]]
    except Exception as error:  # plyfile lets numpy's exceptions through on a damaged file
        raise BadInput(path, f"is not a readable mesh ({error})", DOWNLOAD) from None
    size = header.file_size
    if len(header.text) + vertices.nbytes + _FACE_BYTES * len(faces) != size:
        raise BadInput(path, f"is longer ({size} bytes) than its header says", DOWNLOAD)
    if not np.isfinite(xyz).all():
        raise BadInput(path, "has a vertex whose position is not finite", DOWNLOAD)
    if len(faces) and not (faces.min() >= 0 and faces.max() < len(vertices)):
        raise BadInput(path, "has a face whose vertex does not exist", DOWNLOAD)
    return vertices, faces


def _check_mesh(path: Path, header: Header) -> None:
    """Raise `BadInput` unless the header is that of a binary mesh of vertices and triangles."""
    lines = header.text.split(b"\n")
    if lines[:2] != [b"ply", b"format binary_little_endian 1.0"]:
        raise BadInput(path, "is not a binary PLY file", DOWNLOAD)
    elements = b" ".join(line for line in lines if line.startswith(b"element"))
    lists = [line for line in lines if line.startswith(b"property list")]
    counts = re.fullmatch(rb"element vertex [0-9]{1,15} element face [0-9]{1,15}", elements)
    if counts is None or lists != [_LIST]:
        raise BadInput(path, "does not contain the vertices and triangles of a mesh", DOWNLOAD)


def xyz_of(vertices: NDArray[np.void]) -> NDArray[np.float32]:
    """Positions (V, 3) of vertices read by `read_mesh`, metres."""
    return np.stack([vertices[axis] for axis in "xyz"], axis=1).astype(np.float32)
