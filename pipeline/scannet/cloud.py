"""The points of a ScanNet scan: the vertices of its decimated mesh, as the poses see them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.scan import Cloud
from pipeline.scannet.annotations import read_segments
from pipeline.scannet.ply import read_mesh, xyz_of


def read_cloud(files: Mapping[str, Path]) -> Cloud:
    """Read the group "cloud" of `pipeline.scannet.files.scan_files`: "mesh" and "segments".

    The points are *not* axis-aligned, because the camera poses refer to the mesh as it is.
    Without "segments" (test scans have none) every segment is -1. Raises `BadInput`.
    """
    vertices, faces = read_mesh(files["mesh"])
    xyz = xyz_of(vertices)
    if "segments" in files:
        segment = read_segments(files["segments"], len(xyz))
    else:
        segment = np.full(len(xyz), -1, np.int32)
    return Cloud(
        xyz=xyz,
        rgb=np.stack([vertices[c] for c in ("red", "green", "blue")], 1).astype(np.uint8),
        normal=vertex_normals(xyz, faces),
        segment=segment,
    )


def vertex_normals(xyz: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """Unit normals (V, 3): the mean over the faces of a vertex, weighted by their area.

    0 where a vertex has no face with an area. The cross product of two edges has twice the area
    of the triangle for its length, so plain sums of it are weighted by area.
    """
    a, b, c = (xyz[faces[:, k]].astype(np.float64) for k in range(3))
    of_face = np.cross(b - a, c - a)
    total = np.stack(
        [
            np.bincount(faces.ravel(), np.repeat(of_face[:, axis], 3), minlength=len(xyz))
            for axis in range(3)
        ],
        axis=1,
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.divide(total, length, out=np.zeros_like(total), where=length > 0).astype(np.float32)
