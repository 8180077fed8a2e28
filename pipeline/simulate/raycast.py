"""Ray casting into a triangle mesh: Open3D's scene with numpy arrays in and out."""

import numpy as np
import open3d as o3d
from numpy.typing import NDArray


class Rays:
    """Casts rays (n, 6), origin and direction, into one mesh, on `threads` threads."""

    def __init__(
        self, vertices: NDArray[np.float32], faces: NDArray[np.int32], threads: int = 1
    ) -> None:
        """`vertices` (V, 3) and `faces` (T, 3)."""
        self._threads = threads
        self._scene = o3d.t.geometry.RaycastingScene(nthreads=threads)
        self._scene.add_triangles(_tensor(vertices, np.float32), _tensor(faces, np.uint32))

    def first_hit(
        self, rays: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
        """Distance (n,) in units of the direction's length (inf without a hit), face (n,) (or -1)
        and the weights (n, 2) of its second and third corner."""
        cast = self._scene.cast_rays(_tensor(rays, np.float32), nthreads=self._threads)
        distance = cast["t_hit"].numpy()
        face = np.where(np.isfinite(distance), cast["primitive_ids"].numpy().astype(np.int64), -1)
        return distance, face, cast["primitive_uvs"].numpy()

    def blocked(self, rays: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether the segment (n,) from each origin, one direction long, hits something."""
        tensor = _tensor(rays, np.float32)
        return self._scene.test_occlusions(
            tensor, tnear=0.0, tfar=1.0, nthreads=self._threads
        ).numpy()

    def distance(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Distance (n,) of points (n, 3) to the nearest surface."""
        tensor = _tensor(points, np.float32)
        return self._scene.compute_distance(tensor, nthreads=self._threads).numpy()


def _tensor(array: NDArray, dtype: type) -> o3d.core.Tensor:
    return o3d.core.Tensor.from_numpy(np.ascontiguousarray(array, dtype))
