"""Clouds and meshes in PLY files, as any program writes them."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement

from pipeline.errors import BadInput
from pipeline.geometry.mesh import vertex_normals
from pipeline.readers.ply_header import read_header

SAVE = "save it again as a cloud or a triangle mesh"

_COLORS = (
    ("red", "green", "blue"),
    ("r", "g", "b"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
)
_NORMALS = ("nx", "ny", "nz")
_GREY = 128


def read_points(
    path: Path,
) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.float64] | None]:
    """Positions (N, 3) as in the file, colours (N, 3), and unit normals (N, 3) or None.

    Normals are those in the file, or else computed from its faces. A cloud without colours becomes
    grey, with a warning. Raises `BadInput` for a file that is not a PLY file, is cut off, or has
    no point.
    """
    read_header(path, SAVE)
    try:
        ply = PlyData.read(str(path))
        vertex = ply["vertex"].data
        xyz = np.stack([vertex[axis] for axis in "xyz"], 1).astype(np.float64)
        rgb = _colors(vertex, path)
        faces = [element for element in ply if element.name == "face" and len(element.data)]
        normal = _normals(vertex, xyz, faces)
    except Exception as error:  # plyfile lets numpy's exceptions through on a damaged file
        raise BadInput(path, f"is not a readable cloud ({error})", SAVE) from None
    if not np.isfinite(xyz).all():
        raise BadInput(path, "has a point whose position is not finite", SAVE)
    return xyz, rgb, normal


def _colors(vertex: NDArray[np.void], path: Path) -> NDArray[np.uint8]:
    names = vertex.dtype.names or ()
    for channels in _COLORS:
        if set(channels) <= set(names):
            rgb = np.stack([vertex[c] for c in channels], 1)
            if rgb.dtype.kind == "f":  # between 0 and 1
                rgb = np.rint(rgb.clip(0, 1) * 255)
            return rgb.astype(np.uint8)
    warnings.warn(f"{path}: has no colours; all points become grey.", stacklevel=3)
    return np.full((len(vertex), 3), _GREY, np.uint8)


def _normals(
    vertex: NDArray[np.void], xyz: NDArray[np.float64], faces: list[PlyElement]
) -> NDArray[np.float64] | None:
    if set(_NORMALS) <= set(vertex.dtype.names or ()):
        normal = np.stack([vertex[axis] for axis in _NORMALS], 1).astype(np.float64)
        length = np.linalg.norm(normal, axis=1, keepdims=True)
        fine = np.isfinite(length) & (length > 0)
        return np.divide(normal, length, out=np.zeros_like(normal), where=fine)
    if not faces:
        return None
    data = faces[0].data
    name = next(n for n in ("vertex_indices", "vertex_index") if n in data.dtype.names)
    fans = [
        np.stack([np.full(len(face) - 2, face[0]), face[1:-1], face[2:]], 1)
        for face in data[name]
        if len(face) > 2
    ]
    triangles = np.concatenate([np.empty((0, 3), np.int64), *fans]).astype(np.int64)
    if len(triangles) and not (triangles.min() >= 0 and triangles.max() < len(xyz)):
        raise ValueError("it has a face whose vertex does not exist")
    return vertex_normals(xyz, triangles)
