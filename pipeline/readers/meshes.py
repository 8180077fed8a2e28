"""Points of meshes in OBJ, glTF and STL files: their vertices, read by trimesh."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.geometry.mesh import vertex_normals
from pipeline.readers.colors import GREY, to_bytes
from pipeline.readers.points import Points, measured

SAVE = "save it again as a PLY file, with colours of its vertices"

_LOST = (100, 102)  # trimesh's greys in the place of a texture that is not there
_WIDE = 0.1  # metres between neighbouring vertices from which labels are coarse


# Positions, colours and normals (V, 3), whether there are colours, and the median of the edges.
_Part = tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.float64], bool, float]


def read_mesh(path: Path) -> Points:
    """The vertices of all meshes and clouds in a file, in the coordinates of the file.

    Colours are those of vertices or faces, or of the texture at them; normals come from the faces.
    Warns where there are no colours, and where vertices are far apart, since only they are
    labelled. Raises `BadInput` for a file that is damaged or has no point.
    """
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            parts = _parts(path)
    except Exception as error:  # trimesh lets the exceptions of many formats through
        raise BadInput(path, f"is not a readable mesh ({error!s:.200})", SAVE) from None
    if not parts:
        raise BadInput(path, "has no vertex", SAVE)
    xyz = np.concatenate([part[0] for part in parts])
    rgb = np.concatenate([part[1] for part in parts])
    normal = np.concatenate([part[2] for part in parts])
    if not any(part[3] for part in parts):
        warnings.warn(f"{path}: has no colours; all points become grey.", stacklevel=2)
    edge = float(np.nanmax([part[4] for part in parts]))
    if edge > _WIDE:
        what = f"half the edges of its triangles are longer than {edge:.2f}"
        warnings.warn(f"{path}: {what}, and only vertices get labels; subdivide it.", stacklevel=2)
    there = measured(xyz, path)
    return Points(xyz[there], rgb[there], normal[there], np.flatnonzero(~there))


def _parts(path: Path) -> list[_Part]:
    kind = path.suffix.lower()
    if kind == ".gltf" and "asset" not in json.loads(path.read_bytes()):
        raise ValueError("it is no glTF")  # for which trimesh would read a model.gltf beside it
    merged = kind == ".stl"  # which repeats its vertices
    scene = trimesh.load_scene(path, process=merged, maintain_order=True)
    parts = [_part(scene, node) for node in scene.graph.nodes_geometry]
    return [_with_bytes(part, path) for part in parts] if kind == ".obj" else parts


def _with_bytes(part: _Part, path: Path) -> _Part:
    """A part of an OBJ file with the colours in its lines `v x y z r g b`, of any range.

    trimesh takes floats over 1 for 1.
    """
    with path.open("rb") as file:
        rows = [line.split()[1:7] for line in file if line.startswith((b"v ", b"v\t"))]
    if not rows or any(len(row) < 6 for row in rows):
        return part
    values = np.array(rows, np.float64)
    where = {xyz.tobytes(): i for i, xyz in enumerate(values[:, :3] + 0.0)}
    index = [where.get(xyz.tobytes(), -1) for xyz in part[0] + 0.0]
    if -1 in index:
        return part
    return part[0], to_bytes(values[:, 3:], path)[index], part[2], True, part[4]


def _part(scene: trimesh.Scene, node: str) -> _Part:
    """The mesh or cloud of a node, in its place."""
    place, name = scene.graph[node]
    part = scene.geometry[name]
    xyz = trimesh.transform_points(np.asarray(part.vertices, np.float64), place)
    faces = np.asarray(getattr(part, "faces", np.empty((0, 3))), np.int64)
    if len(faces) and not (faces.min() >= 0 and faces.max() < len(xyz)):
        raise ValueError("it has a face whose vertex does not exist")
    rgb = _colors(part)
    edges = np.linalg.norm(xyz[faces] - xyz[np.roll(faces, 1, axis=1)], axis=2)
    edge = float(np.median(edges)) if len(faces) else 0.0
    known = rgb if rgb is not None else np.full((len(xyz), 3), GREY, np.uint8)
    return xyz, known, vertex_normals(xyz, faces), rgb is not None, edge


def _colors(part: Any) -> NDArray[np.uint8] | None:
    """Colours (V, 3) of vertices, also by faces or a texture; None where there are none."""
    visual = getattr(part, "visual", None)
    if visual is None or not getattr(visual, "defined", True):
        return None
    if getattr(visual, "kind", "vertex") == "texture":
        if visual.uv is None:
            return None
        visual = visual.to_color()
    colors = np.asarray(visual.vertex_colors)
    if colors.shape != (len(part.vertices), 4) or np.isin(colors[:, :3], _LOST).all():
        return None
    return to_bytes(colors[:, :3], Path())
