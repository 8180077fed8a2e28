"""Reading entries, and which entries of a training scan weak supervision may see."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from model.data.inputs import height_above_floor
from pipeline.errors import BadInput


def read_entry(path: Path) -> zarr.Group:
    """Open an entry for reading, in the process that reads it.

    A zip that is opened before a fork gives wrong data in the child process.
    """
    return zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r")


def read_array(entry: zarr.Group, name: str, rows: slice = slice(None)) -> NDArray[Any]:
    """Rows of an array of an entry."""
    array: Any = entry[name]
    return np.asarray(array[rows])


def voxel_size(voxels: zarr.Group) -> float:
    """Edge of the voxels of a `voxels` entry, in metres."""
    size: Any = voxels.attrs["voxel_size"]
    return float(size)


def class_names(entry: zarr.Group) -> list[str]:
    """The names of an entry's K classes, by their numbers."""
    names: Any = entry.attrs["classes"]
    return [str(name) for name in names]


@dataclass(frozen=True)
class Scene:
    """The M voxels of one scan, V of them with supervision."""

    xyz: NDArray[np.float32]  # (M, 3) metres
    rgb: NDArray[np.uint8]  # (M, 3)
    normal: NDArray[np.float32]  # (M, 3) unit length, 0 where unknown
    height: NDArray[np.float32]  # (M,) metres above the floor of the whole scan
    voxel_size: float  # metres
    voxel: NDArray[np.int64]  # (V,) the supervised voxels, increasing
    feature: NDArray[np.float16]  # (V, d) fused 2D embeddings; d = 0 with dense labels
    label: NDArray[np.int64]  # (V,) class, -1 = ignored


@dataclass(frozen=True)
class ScanEntries:
    """The entries of one training scan. Dense labels are not among them."""

    scan: str
    voxels: Path
    targets: Path
    pseudo_labels: Path
    tags: Path

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(p.stat().st_size for p in (self.voxels, self.targets, self.pseudo_labels))

    def present(self) -> NDArray[np.bool_]:
        """The scan's tags (K,)."""
        return read_array(read_entry(self.tags), "present").astype(bool)

    def read(self) -> Scene:
        """Read the scan. Raises `BadInput` if the entries do not belong together."""
        voxels, targets = read_entry(self.voxels), read_entry(self.targets)
        xyz = read_array(voxels, "voxel_xyz")
        scene = Scene(
            xyz=xyz,
            rgb=read_array(voxels, "voxel_rgb"),
            normal=read_array(voxels, "voxel_normal"),
            height=height_above_floor(xyz),
            voxel_size=voxel_size(voxels),
            voxel=read_array(targets, "voxel").astype(np.int64),
            feature=read_array(targets, "feature"),
            label=read_array(read_entry(self.pseudo_labels), "label").astype(np.int64),
        )
        if not len(scene.voxel) == len(scene.feature) == len(scene.label):
            raise BadInput(
                self.pseudo_labels,
                f"{len(scene.label)} pseudo-labels for {len(scene.voxel)} targets",
                "make the pseudo-labels from these targets",
            )
        return scene


def read_text(path: Path) -> tuple[NDArray[np.float32], list[str]]:
    """Text embeddings (K, d), L2-normalised, and the names of their K classes."""
    entry = read_entry(path)
    return read_array(entry, "embedding").astype(np.float32), class_names(entry)
