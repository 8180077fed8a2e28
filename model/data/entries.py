"""Reading entries, and which entries of a training scan weak supervision may see."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr
from numpy.typing import NDArray

from model.data.features import Features, open_features
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
    superpoint: NDArray[np.int32]  # (M,) -1 = none
    voxel: NDArray[np.int64]  # (V,) the supervised voxels, increasing
    feature: Features  # (V, d) fused 2D embeddings; d = 0 with dense labels
    label: NDArray[np.int64]  # (V,) class, -1 = ignored
    probability: NDArray[np.float16]  # (V, K) of soft labels; (V, 0) without them
    present: NDArray[np.bool_]  # (K,) the scan's tags; (0,) with dense labels


class ScanLabels(NamedTuple):
    """What the V supervised voxels of a scan are labelled."""

    label: NDArray[np.int64]  # (V,) -1 = ignored
    probability: NDArray[np.float16]  # (V, K) of soft labels; (V, 0) without them


def read_labels(path: Path, scan: str) -> ScanLabels:
    """The labels of a scan in a file that `write_labels` wrote.

    Raises `BadInput` if the file cannot be read or does not have the scan.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            label = file.get_tensor(f"{scan}.label").astype(np.int64)
            probability = file.get_tensor(f"{scan}.probability")
    except (SafetensorError, OSError) as error:
        what = f"has no readable labels of {scan} ({error})"
        raise BadInput(path, what, "make them again") from error
    return ScanLabels(label, probability)


@dataclass(frozen=True)
class ScanEntries:
    """The entries of one training scan. Dense labels are not among them."""

    scan: str
    voxels: Path
    targets: Path
    pseudo_labels: Path
    tags: Path
    refined: Path | None = None  # labels of all scans, in the place of pseudo-labels

    @property
    def size(self) -> int:
        """Bytes on disk, without refined labels."""
        return sum(p.stat().st_size for p in (self.voxels, self.targets, self.pseudo_labels))

    def labels(self) -> ScanLabels:
        """The refined labels, or else the pseudo-labels."""
        if self.refined is not None:
            return read_labels(self.refined, self.scan)
        label = read_array(read_entry(self.pseudo_labels), "label").astype(np.int64)
        return ScanLabels(label, np.zeros((len(label), 0), np.float16))

    def present(self) -> NDArray[np.bool_]:
        """The scan's tags (K,)."""
        return read_array(read_entry(self.tags), "present").astype(bool)

    def read(self) -> Scene:
        """Read the scan. Raises `BadInput` if the entries do not belong together."""
        voxels, targets = read_entry(self.voxels), read_entry(self.targets)
        xyz, labels = read_array(voxels, "voxel_xyz"), self.labels()
        scene = Scene(
            xyz=xyz,
            rgb=read_array(voxels, "voxel_rgb"),
            normal=read_array(voxels, "voxel_normal"),
            height=height_above_floor(xyz),
            voxel_size=voxel_size(voxels),
            superpoint=read_array(voxels, "voxel_segment"),
            voxel=read_array(targets, "voxel").astype(np.int64),
            feature=open_features(self.targets, targets),
            label=labels.label,
            probability=labels.probability,
            present=self.present(),
        )
        if not len(scene.voxel) == len(scene.feature) == len(scene.label):
            raise BadInput(
                self.refined or self.pseudo_labels,
                f"{len(scene.label)} pseudo-labels for {len(scene.voxel)} targets",
                "make the pseudo-labels from these targets",
            )
        return scene


def read_text(path: Path) -> tuple[NDArray[np.float32], list[str]]:
    """Text embeddings (K, d), L2-normalised, and the names of their K classes."""
    entry = read_entry(path)
    return read_array(entry, "embedding").astype(np.float32), class_names(entry)
