"""Augmentation of a scan's voxel positions and colours, before they are voxelised again."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Two elastic fields, fine and coarse: (spacing of the knots, largest push), in metres. Values are
# those of the code of Choy et al., CVPR 2019, for indoor scans.
_ELASTIC = ((0.2, 0.4), (0.8, 1.6))


class Transform(NamedTuple):
    """A random linear map of a scan: x -> scale turn x."""

    turn: NDArray[np.float64]  # (3, 3) orthogonal: a rotation, or one that mirrors
    scale: float


@dataclass(frozen=True)
class Augmentation:
    """What is varied, and by how much. All random numbers come from the generator given."""

    rotation: bool = True  # about the vertical, any angle
    tilt: float = 3.0  # degrees; largest rotation about each horizontal axis
    scale: float = 0.1  # largest relative change of size
    flip: bool = True  # mirror x, y or both
    elastic: bool = False  # smooth random distortion
    color: float = 0.05  # largest change of a channel's offset and gain, and noise of a tenth

    def transform(self, rng: np.random.Generator) -> Transform:
        """Draw how a scan is mirrored, tilted, turned and scaled."""
        matrix = np.eye(3)
        if self.flip:
            matrix = np.diag([*rng.choice([-1.0, 1.0], 2), 1.0])
        tilt = np.radians(self.tilt)
        matrix = _rotation(0, rng.uniform(-tilt, tilt)) @ matrix
        matrix = _rotation(1, rng.uniform(-tilt, tilt)) @ matrix
        if self.rotation:
            matrix = _rotation(2, rng.uniform(0, 2 * np.pi)) @ matrix
        return Transform(matrix, rng.uniform(1 - self.scale, 1 + self.scale))

    def positions(
        self, xyz: NDArray[np.float32], transform: Transform, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Positions (M, 3) in metres, transformed, and distorted if `elastic`."""
        matrix = transform.turn * transform.scale
        moved = (xyz @ matrix.T).astype(np.float32)
        if self.elastic:
            for spacing, size in _ELASTIC:
                moved = elastic(moved, spacing, size, rng)
        return moved

    def colors(self, rgb: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Colours (M, 3) in [-1, 1] with one gain and offset for the scan, and noise for each."""
        gain = rng.uniform(1 - self.color, 1 + self.color, 3)
        offset = rng.uniform(-self.color, self.color, 3)
        noise = rng.normal(0.0, self.color / 10, rgb.shape)
        return np.clip(rgb * gain + offset + noise, -1.0, 1.0).astype(np.float32)


def elastic(
    xyz: NDArray[np.float32], spacing: float, size: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Push each position (M, 3) by a random field that is smooth over a few knots.

    The field is noise of unit variance on a grid of `spacing` metres, smoothed twice by a box of
    three knots in each direction, interpolated trilinearly and multiplied by `size` metres.
    """
    from scipy.ndimage import convolve1d, map_coordinates  # which only trainings need

    lowest = xyz.min(axis=0)
    knots = ((xyz.max(axis=0) - lowest) / spacing).astype(int) + 3
    where = ((xyz - lowest) / spacing + 1).T
    moved = xyz.astype(np.float64)
    for axis in range(3):
        field = rng.standard_normal(tuple(knots))
        for _ in range(2):
            for direction in range(3):
                field = convolve1d(field, np.full(3, 1 / 3), axis=direction, mode="constant")
        moved[:, axis] += size * map_coordinates(field, where, order=1, mode="nearest")
    return moved.astype(np.float32)


def _rotation(axis: int, angle: float) -> NDArray[np.float64]:
    """Right-handed rotation (3, 3) about a coordinate axis by `angle` radians."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -np.sin(angle), np.sin(angle)
    return matrix
