"""The only module of `model` that opens dense labels: for full supervision and for scores.

Weakly supervised training does not import it, directly or not, so no dense label can reach it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.data.entries import Scene, class_names, read_array, read_entry, voxel_size
from model.data.features import Features
from model.data.inputs import height_above_floor
from pipeline.errors import BadInput
from pipeline.geometry.votes import majority


@dataclass(frozen=True)
class LabelledScan:
    """The entries of one scan with its ground truth."""

    scan: str
    voxels: Path
    labels: Path

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.voxels.stat().st_size + self.labels.stat().st_size

    @property
    def classes(self) -> list[str]:
        """Names of the K classes."""
        return class_names(read_entry(self.labels))

    def superpoints(self) -> NDArray[np.int32]:
        """The superpoint of each voxel (M,), -1 for none."""
        return read_array(read_entry(self.voxels), "voxel_segment")

    def ground_truth(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Class of each point (N,), -1 = ignored, and the voxel of each point (N,).

        Raises `BadInput` if there are more or fewer labels than points.
        """
        label = read_array(read_entry(self.labels), "label").astype(np.int64)
        voxel_of_point = read_array(read_entry(self.voxels), "voxel_of_point").astype(np.int64)
        if len(label) != len(voxel_of_point):
            raise BadInput(
                self.labels,
                f"{len(label)} labels for {len(voxel_of_point)} points",
                "make labels and voxels from the same scan",
            )
        return label, voxel_of_point

    def read(self) -> Scene:
        """The scan with the most frequent label of each voxel's labelled points.

        Raises `BadInput` as `ground_truth` does.
        """
        label, voxel_of_point = self.ground_truth()
        entry = read_entry(self.voxels)
        xyz = read_array(entry, "voxel_xyz")
        label = majority(label, voxel_of_point, len(xyz))
        voxel = np.flatnonzero(label >= 0)
        return Scene(
            xyz=xyz,
            rgb=read_array(entry, "voxel_rgb"),
            normal=read_array(entry, "voxel_normal"),
            height=height_above_floor(xyz),
            voxel_size=voxel_size(entry),
            superpoint=read_array(entry, "voxel_segment"),
            voxel=voxel,
            feature=Features.none(len(voxel)),
            label=label[voxel],
            probability=np.zeros((len(voxel), 0), np.float16),
            present=np.zeros(0, bool),
        )
