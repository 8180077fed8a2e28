"""Superpoints of a mesh by its normals, made like ScanNet's own segments.

The graph-based method of Felzenszwalb and Huttenlocher (IJCV 2004) on the mesh's edges. An edge has
the weight 1 - n1.n2 for the normals of its vertices, squared where the surface is convex: the
parts of one object meet at convex edges, objects meet each other and the floor at concave ones.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.geometry.graph_segments import segment_graph
from pipeline.geometry.mesh import vertex_normals


def over_segment(
    vertices: NDArray[np.floating],
    faces: NDArray[np.integer],
    k: float = 0.01,
    min_vertices: int = 20,
) -> NDArray[np.int32]:
    """Segment of each vertex (V,) of a mesh with `vertices` (V, 3) and triangles `faces` (T, 3).

    A segment's id is the lowest index among its vertices, so `ids[ids] == ids`. A larger `k` gives
    larger segments. A segment below `min_vertices` is merged with a neighbour; it stays small only
    where its connected component of the mesh is. The faces' winding must be consistent, because
    convexity is decided by the normals.
    """
    first, second, weight = _edges(np.asarray(vertices, np.float64), np.asarray(faces))
    return segment_graph(len(vertices), first, second, weight, k, min_vertices)


def _edges(
    vertices: NDArray[np.float64], faces: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Both ends and the weight of each edge of the mesh, every edge once."""
    pairs = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64), axis=1)
    first, second = np.divmod(np.unique(pairs[:, 0] * len(vertices) + pairs[:, 1]), len(vertices))
    normal = vertex_normals(vertices, faces)
    weight = np.maximum(1.0 - (normal[first] * normal[second]).sum(1), 0.0)
    # Convex: the second vertex's normal points away from the first vertex.
    convex = (normal[second] * (vertices[second] - vertices[first])).sum(1) > 0
    return first, second, np.where(convex, weight**2, weight)
