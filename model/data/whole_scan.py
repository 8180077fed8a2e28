"""What a network is given of a whole scan: in inference, and where training measures itself."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
import torch
import zarr
from numpy.typing import NDArray

from model.data.dataset import batch_indices
from model.data.entries import read_array, voxel_size
from model.data.inputs import VoxelValues, height_above_floor, unit_colors
from model.network.unet import MinkUNet
from pipeline.stages.voxels import voxelise

_ROWS = 1 << 16  # voxels whose outputs are in memory at a time


class WholeScan(NamedTuple):
    """What a network is given of a scan with M voxels."""

    coords: NDArray[np.int32]  # (m, 3) >= 0
    inputs: NDArray[np.float32]  # (m, C)
    voxel_of: NDArray[np.integer]  # (M,) the one of m that each voxel of the scan falls into


def whole_scan(voxels: zarr.Group, inputs: Collection[str], size: float) -> WholeScan:
    """Read an entry `voxels` for a network with these inputs and voxels of `size` metres."""
    coords, xyz = read_array(voxels, "coords"), read_array(voxels, "voxel_xyz")
    color = unit_colors(read_array(voxels, "voxel_rgb"))
    values = VoxelValues(color, height_above_floor(xyz), read_array(voxels, "voxel_normal"))
    if size == voxel_size(voxels):
        return WholeScan(coords, values.stack(inputs), np.arange(len(coords)))
    coords, voxel_of, _ = voxelise(xyz, size)
    return WholeScan(coords, values.averaged(voxel_of).stack(inputs), voxel_of)


def outputs(network: MinkUNet, given: WholeScan, where: torch.device) -> Iterator[torch.Tensor]:
    """What a network on the device `where` gives for the m voxels, (rows, d) at a time.

    Only the last layer is wide: so large scans fit into memory.
    """
    indices = batch_indices([given.coords]).to(where)
    trunk = network.trunk(torch.from_numpy(given.inputs).to(where), indices)
    yield from map(network.head, trunk.split(_ROWS))
