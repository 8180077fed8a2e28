"""What each voxel gives the network: any of colour, height above the floor, normal, a constant."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.network.inputs import CHANNELS
from pipeline.stages.voxels import unit_or_zero

_FLOOR_PERCENTILE = 1.0  # reflections and noise below the floor are fewer than this
_EYE_LEVEL = 1.0  # metres; heights in a room, less this, have the magnitude of colours


def unit_colors(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Colours (M, 3) in 0..255 as the network takes them, in [-1, 1]."""
    return rgb.astype(np.float32) / 127.5 - 1.0


def height_above_floor(xyz: NDArray[np.floating]) -> NDArray[np.float32]:
    """The height (M,) in metres of voxels (M, 3) of a whole scan, with z up, above its floor.

    The floor is the 1st percentile of z, so no label is needed, and moving the scan changes
    nothing.
    """
    z = xyz[:, 2].astype(np.float64)
    return (z - np.percentile(z, _FLOOR_PERCENTILE)).astype(np.float32)


class VoxelValues(NamedTuple):
    """What is known of M voxels, from which the network's inputs are chosen."""

    color: NDArray[np.floating]  # (M, 3) in [-1, 1]; about 0, which is grey, where unknown
    height: NDArray[np.floating]  # (M,) metres above the floor
    normal: NDArray[np.floating]  # (M, 3) unit length, 0 where unknown

    def averaged(self, voxel_of: NDArray[np.integer]) -> "VoxelValues":
        """Means over the larger voxels (m of them) that these fall into, by `voxel_of` (M,).

        Normals have unit length again, or are 0 where none is known or they cancel each other.
        """
        count = np.bincount(voxel_of)

        def mean(values: NDArray[np.floating]) -> NDArray[np.float64]:
            return np.column_stack([np.bincount(voxel_of, column) / count for column in values.T])

        height = mean(self.height[:, None])[:, 0]
        return VoxelValues(mean(self.color), height, unit_or_zero(mean(self.normal)))

    def stack(self, names: Collection[str]) -> NDArray[np.float32]:
        """The chosen inputs (M, C), in the order of `CHANNELS` whatever the order of `names`.

        Heights count from 1 m above the floor; the constant is 1.
        """
        columns = {
            "color": self.color,
            "height": self.height[:, None] - _EYE_LEVEL,
            "normal": self.normal,
            "constant": np.ones((len(self.height), 1), np.float32),
        }
        chosen = [columns[name] for name in CHANNELS if name in names]
        return np.concatenate(chosen, axis=1).astype(np.float32)
