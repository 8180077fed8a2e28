"""Normals of a triangle mesh."""

import numpy as np
from numpy.typing import NDArray


def vertex_normals(
    vertices: NDArray[np.floating], faces: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Unit normals (V, 3) of `vertices` (V, 3): the mean over a vertex's `faces` (T, 3) by area.

    0 where no face of a vertex has an area. The length of the cross product of two edges is twice
    the area of the triangle, so plain sums of it are weighted by area.
    """
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    area = np.cross(b - a, c - a)
    total = np.zeros((len(vertices), 3))
    for axis in range(3):
        share = np.repeat(area[:, axis], 3)
        total[:, axis] = np.bincount(faces.ravel(), share, minlength=len(vertices))
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.divide(total, length, out=np.zeros_like(total), where=length > 0)
