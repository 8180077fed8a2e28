"""Clouds and meshes in PLY files, as any program writes them."""

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement, PlyListProperty

from pipeline.errors import BadInput
from pipeline.geometry.mesh import vertex_normals
from pipeline.readers.colors import read_colors
from pipeline.readers.ply_header import Header, read_header
from pipeline.readers.points import Points, measured

SAVE = "save it again as a cloud or a triangle mesh"

_NOT_PLAIN = re.compile(rb"[^\t\r\n -~]")
_COMMENT = re.compile(rb"comment|obj_info|.*[^\t\r\n -~]")
_POSITION = ("x", "y", "z")
_NORMALS = (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z"))


def read_ply(path: Path) -> Points:
    """The points of a PLY file.

    Normals are those in the file, or else computed from its faces; colours are those of
    `read_colors`. Points without a position are left out, with a warning. Raises `BadInput` for a
    file that is not a PLY file, is cut off, or has no point, and for colours out of range.
    """
    header = read_header(path, SAVE)
    try:
        ply = _parsed(path, header)
        _require_whole(path, header, ply)
        vertex = ply["vertex"].data
        columns = {name: vertex[name] for name in vertex.dtype.names or ()}
        xyz = _stacked(columns, _POSITION)
        if xyz is None:
            raise ValueError("its points have no x, y and z")
        faces = [element for element in ply if element.name == "face" and len(element.data)]
        normal = _normals(columns, xyz, faces)
    except Exception as error:  # plyfile lets numpy's exceptions through on a damaged file
        raise BadInput(path, f"is not a readable cloud ({error})", SAVE) from None
    there = measured(xyz, path)
    if there.all():
        return Points(xyz, read_colors(columns, path), normal)
    rgb = read_colors({name: column[there] for name, column in columns.items()}, path)
    return Points(
        xyz[there], rgb, None if normal is None else normal[there], np.flatnonzero(~there)
    )


def read_points(
    path: Path,
) -> tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.float64] | None]:
    """Positions (N, 3) as in the file, colours (N, 3), and unit normals (N, 3) or None.

    They are those of `read_ply`, which raises `BadInput` and warns.
    """
    points = read_ply(path)
    return points.xyz, points.rgb, points.normal


def _parsed(path: Path, header: Header) -> PlyData:
    """The file, whose header may have comments in any encoding: plyfile wants ASCII."""
    if not _NOT_PLAIN.search(header.text):
        return PlyData.read(str(path))
    kept = b"".join(line for line in header.text.splitlines(True) if not _COMMENT.match(line))
    return PlyData.read(BytesIO(kept + path.read_bytes()[len(header.text) :]))


def _require_whole(path: Path, header: Header, ply: PlyData) -> None:
    """Raise `ValueError` where more points follow than the header announces."""
    if ply.text:
        body = path.read_bytes()[len(header.text) :]
        lines, known = sum(1 for line in body.splitlines() if line.strip()), sum(map(len, ply))
        if lines > known:
            raise ValueError(f"its header announces {known} lines, and {lines} follow")
        return
    known = len(header.text) + sum(map(_bytes, ply))
    smallest = _bytes(ply["vertex"]) // len(ply["vertex"])
    if header.file_size >= known + smallest:
        raise ValueError(f"its header announces {known} bytes, and it has {header.file_size}")


def _bytes(element: PlyElement) -> int:
    """The size of an element in a binary file."""
    total = 0
    for kind in element.properties:
        if isinstance(kind, PlyListProperty):
            length, value = (np.dtype(each).itemsize for each in kind.list_dtype())
            total += len(element) * length + value * sum(map(len, element.data[kind.name]))
        else:
            total += len(element) * np.dtype(kind.dtype()).itemsize
    return total


def _stacked(
    columns: dict[str, NDArray[Any]], names: tuple[str, str, str]
) -> NDArray[np.float64] | None:
    """The columns of these names in any case, as (N, 3); None where one is missing."""
    found = {name.lower(): column for name, column in reversed(columns.items())}
    if not set(names) <= set(found):
        return None
    return np.stack([found[name] for name in names], 1).astype(np.float64)


def _normals(
    columns: dict[str, NDArray[Any]], xyz: NDArray[np.float64], faces: list[PlyElement]
) -> NDArray[np.float64] | None:
    for names in _NORMALS:
        normal = _stacked(columns, names)
        if normal is not None:
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
    there = np.isfinite(xyz.sum(axis=1))
    known = triangles[there[triangles].all(axis=1)]
    return vertex_normals(np.where(there[:, None], xyz, 0), known)
