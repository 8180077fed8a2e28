"""The mesh of a scan: depth frames fused into a signed distance field, then simplified.

Surfaces that no frame saw are missing, as in a real scan. The field is finer than the mesh, so that
the legs of chairs are kept.
"""

from dataclasses import dataclass

import numpy as np
import open3d as o3d
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.geometry.mesh import vertex_normals
from pipeline.simulate.sensor import DEPTH_SCALE
from pipeline.simulate.world import World

_TRUNCATION = 3.5  # voxels: less breaks up floors at grazing angles, more thickens thin boards
_FARTHEST = 5.0  # metres that are fused
_BLOCK = 8  # voxels along a block of the field
_BLOCKS = 8192  # initial capacity of the field
_STRIDE = 4  # every n-th pixel is used by Open3D to find the blocks of a frame
_LEAST_PIECE = 20  # vertices: smaller floating pieces are dropped, as no segment is smaller


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh in which every vertex belongs to a face."""

    vertices: NDArray[np.float32]  # (V, 3) metres
    rgb: NDArray[np.uint8]  # (V, 3)
    faces: NDArray[np.int32]  # (T, 3), counter-clockwise seen from the free side


class Fusion:
    """Truncated signed distance field (Curless and Levoy, SIGGRAPH 1996) of the frames added."""

    def __init__(self, voxel_size: float) -> None:
        names, types = ("tsdf", "weight", "color"), (o3d.core.float32,) * 3
        shapes = tuple(o3d.core.SizeVector([n]) for n in (1, 1, 3))
        self._field = o3d.t.geometry.VoxelBlockGrid(
            names, types, shapes, voxel_size, _BLOCK, _BLOCKS
        )

    def add(
        self,
        color: NDArray[np.uint8],
        depth: NDArray[np.uint16],
        intrinsics: NDArray[np.float64],
        camera_to_world: NDArray[np.floating],
    ) -> None:
        """Fuse a frame: colour (h, w, 3) and depth (h, w) of one camera, 0 = not measured."""
        if not depth[::_STRIDE, ::_STRIDE].any():
            return  # an error in Open3D
        image = o3d.t.geometry.Image(np.ascontiguousarray(depth))
        picture = o3d.t.geometry.Image(np.ascontiguousarray(color))
        k = o3d.core.Tensor.from_numpy(np.asarray(intrinsics, np.float64))
        pose = o3d.core.Tensor.from_numpy(np.linalg.inv(camera_to_world))
        limits = (DEPTH_SCALE, _FARTHEST, _TRUNCATION)
        blocks = self._field.compute_unique_block_coordinates(image, k, pose, *limits)
        self._field.integrate(blocks, image, picture, k, k, pose, *limits)

    def mesh(self) -> Mesh:
        """The zero level of the field, with vertices and faces in a fixed order.

        Open3D's order depends on its threads; here they are sorted by position.
        """
        found = self._field.extract_triangle_mesh(weight_threshold=1.0)
        vertices = found.vertex.positions.numpy()
        rgb = np.clip(np.rint(found.vertex.colors.numpy() * 255), 0, 255).astype(np.uint8)
        order = np.lexsort(vertices.T)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        faces = _sorted_faces(place[found.triangle.indices.numpy()], len(order))
        return Mesh(vertices[order], rgb[order], faces)


def coarsen(mesh: Mesh, cell: float) -> Mesh:
    """One vertex for all vertices in a cell (metres) whose normals point the same way.

    The direction of the normals separates the two faces of a thin board.
    """
    normal = vertex_normals(mesh.vertices, mesh.faces)
    axis = np.abs(normal).argmax(1)
    side = 2 * axis + (normal[np.arange(len(axis)), axis] > 0)
    index = np.floor(mesh.vertices / cell).astype(np.int64)
    x, y, z = (index - index.min(0)).T
    key = np.ravel_multi_index((x, y, z, side), (x.max() + 1, y.max() + 1, z.max() + 1, 6))
    _, member, count = np.unique(key, return_inverse=True, return_counts=True)
    vertices = _mean_of(mesh.vertices, member, count)
    rgb = np.rint(_mean_of(mesh.rgb, member, count))
    faces = _sorted_faces(member[mesh.faces], len(count))
    return Mesh(vertices.astype(np.float32), rgb.astype(np.uint8), faces)


def without_crumbs(mesh: Mesh) -> Mesh:
    """The mesh without small floating pieces and vertices without a face."""
    v, faces = len(mesh.vertices), mesh.faces
    ends = (faces.ravel(), np.roll(faces, 1, axis=1).ravel())
    graph = coo_array((np.ones(faces.size, np.int8), ends), shape=(v, v))
    _, piece = connected_components(graph, directed=False)
    keep = np.bincount(piece)[piece] >= _LEAST_PIECE
    place = np.cumsum(keep) - 1
    faces = place[faces[keep[faces[:, 0]]]].astype(np.int32)
    return Mesh(mesh.vertices[keep], mesh.rgb[keep], faces)


def nearest_thing(
    world: World, points: NDArray[np.float32], farthest: float = 0.08
) -> NDArray[np.int32]:
    """Index (P,) of the thing whose surface is closest to each point, -1 beyond `farthest`."""
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    faces = o3d.core.Tensor.from_numpy(world.faces.astype(np.uint32))
    scene.add_triangles(o3d.core.Tensor.from_numpy(world.vertices), faces)
    found = scene.compute_closest_points(o3d.core.Tensor.from_numpy(points), nthreads=1)
    distance = np.linalg.norm(found["points"].numpy() - points, axis=1)
    thing = world.face_thing[found["primitive_ids"].numpy()]
    return np.where(distance <= farthest, thing, -1).astype(np.int32)


def _sorted_faces(faces: NDArray[np.integer], n_vertices: int) -> NDArray[np.int32]:
    """Faces with three corners, once each, from their lowest corner on, sorted; winding kept."""
    a, b, c = faces.T.astype(np.int64)
    whole = (a != b) & (b != c) & (c != a)
    a, b, c = a[whole], b[whole], c[whole]
    turn_once, turn_twice = (b < a) & (b < c), (c < a) & (c < b)
    a, b, c = (
        np.where(turn_once, second, np.where(turn_twice, third, first))
        for first, second, third in ((a, b, c), (b, c, a), (c, a, b))
    )
    rest, c = np.divmod(np.unique((a * n_vertices + b) * n_vertices + c), n_vertices)
    a, b = np.divmod(rest, n_vertices)
    return np.stack([a, b, c], axis=1).astype(np.int32)


def _mean_of(
    values: NDArray[np.generic], member: NDArray[np.int64], count: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean (G, C) of the rows of `values` (V, C) in each of G groups."""
    sums = [np.bincount(member, column, len(count)) for column in values.T]
    return np.stack(sums, axis=1) / count[:, None]
