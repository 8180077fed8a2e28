"""Over-segmentation of a mesh by its normals, as ScanNet's own segments are made.

The graph-based method of Felzenszwalb and Huttenlocher (IJCV 2004) on the mesh's edges. An edge
weighs 1 - n1.n2 between the normals of its vertices, squared where the surface is convex: the
parts of one object meet at convex edges, objects meet each other and the floor at concave ones.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.mesh import vertex_normals


def over_segment(
    vertices: NDArray[np.floating],
    faces: NDArray[np.integer],
    k: float = 0.01,
    min_vertices: int = 20,
) -> NDArray[np.int32]:
    """Segment of each vertex (V,) of a mesh with `vertices` (V, 3) and triangles `faces` (T, 3).

    A segment's id is the lowest index among its vertices, so `ids[ids] == ids`. A larger `k` asks
    for larger segments. A segment under `min_vertices` is joined to a neighbour; it stays small
    only where its whole connected piece of the mesh is smaller than that. The faces' winding must
    be consistent, since convex is told by the normals.
    """
    first, second, weight = _edges(np.asarray(vertices, np.float64), np.asarray(faces))
    order = np.argsort(weight, kind="stable")
    edges = list(zip(first[order].tolist(), second[order].tolist(), strict=True))
    parent = list(range(len(vertices)))
    size = [1] * len(vertices)
    limit = [k] * len(vertices)
    # Plain lists: element by element they are several times faster than arrays.
    for (a, b), w in zip(edges, weight[order].tolist(), strict=True):
        a, b = _find(parent, a), _find(parent, b)
        if a != b and w <= limit[a] and w <= limit[b]:
            a, b = _join(parent, size, a, b)
            limit[a] = w + k / size[a]
    for a, b in edges:
        a, b = _find(parent, a), _find(parent, b)
        if a != b and (size[a] < min_vertices or size[b] < min_vertices):
            _join(parent, size, a, b)
    root = np.array([_find(parent, v) for v in range(len(vertices))], np.int64)
    _, lowest, member = np.unique(root, return_index=True, return_inverse=True)
    return lowest[member].astype(np.int32)


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


def _find(parent: list[int], v: int) -> int:
    while parent[v] != v:
        parent[v] = v = parent[parent[v]]
    return v


def _join(parent: list[int], size: list[int], a: int, b: int) -> tuple[int, int]:
    """Join two roots; gives them back, the one that remains first."""
    if size[a] < size[b]:
        a, b = b, a
    parent[b] = a
    size[a] += size[b]
    return a, b
