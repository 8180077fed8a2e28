"""Pictures of a scan as in papers: its colours, its classes by each source, and what is right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import zarr
from numpy.typing import NDArray

from model.data.entries import read_array, voxel_size
from model.pages import encode, views
from model.pages.splat import View, nearest

NOTHING = (225, 225, 225)  # the colour of what has no class
RIGHT, WRONG = (44, 123, 182), (215, 48, 39)  # apart also for those who see no red or no green
_INWARD = 0.6  # share of normals towards the middle from which on they are taken to face inside
_OVERLAP = 1.4  # size of points in voxels: without gaps, however the picture is turned
_MOST = 3_000_000  # voxels; of larger scans every n-th is drawn


@dataclass(frozen=True)
class Column:
    """What is shown of the voxels of a scan: a title, and a colour (M, 3) for each of them."""

    title: str
    colors: NDArray[np.uint8]
    few: bool = True  # colours, those of classes


@dataclass(frozen=True)
class Shown:
    """One column of a scan on the page; pictures are data URIs, one for each view."""

    title: str
    pictures: Sequence[str]


@dataclass(frozen=True)
class ShownScan:
    """A scan on the page."""

    name: str
    about: str  # why it is shown, and its scores
    columns: Sequence[Shown]
    classes: Sequence[int]  # that occur in it, for the legend
    notes: Sequence[str] = field(default_factory=tuple)


def of_classes(title: str, label: NDArray[np.integer], colors: NDArray[np.uint8]) -> Column:
    """The voxels in the colours (K, 3) of their classes (M,), -1 for none."""
    return Column(title, np.vstack([colors, np.array([NOTHING], np.uint8)])[label])


def right_and_wrong(label: NDArray[np.integer], truth: NDArray[np.integer]) -> Column:
    """Where classes (M,) are the true ones (M,), where not, and where nothing is known (-1)."""
    kinds = np.array([WRONG, RIGHT, NOTHING], np.uint8)
    return Column("right and wrong", kinds[np.where(truth < 0, 2, (label == truth).astype(int))])


def input_colors(voxels: zarr.Group) -> Column:
    """The colours of an entry `voxels`."""
    return Column("input colour", read_array(voxels, "voxel_rgb"), few=False)


def draw(voxels: zarr.Group, columns: Sequence[Column]) -> list[Shown]:
    """The columns of a scan, from above and from a corner.

    Which voxel is in front is found once for each view. The upper quarter of a room is cut off, and
    surfaces that face away are left out, if the scan's normals face its inside.
    """
    xyz, normal = read_array(voxels, "voxel_xyz"), read_array(voxels, "voxel_normal")
    every = -(-len(xyz) // _MOST)
    kept = np.flatnonzero(views.below_ceiling(xyz))[::every]
    size, fronts = _OVERLAP * voxel_size(voxels) * every**0.5, []
    for view in (views.above(xyz[kept]), views.corner(xyz[kept])):
        facing = kept[_faces(xyz[kept], normal[kept], view)]
        front = nearest(xyz[facing], view, size)
        fronts.append(np.where(front < 0, -1, facing[front]) if len(facing) else front)
    return [
        Shown(column.title, [_picture(column, front) for front in fronts]) for column in columns
    ]


def classes_of(labels: Mapping[str, NDArray[np.integer]], share: float = 0.001) -> list[int]:
    """The classes that have a share of the voxels by any of some sources of labels (M,)."""
    found: set[int] = set()
    for label in labels.values():
        known = label[label >= 0]
        count = np.bincount(known) if len(known) else np.zeros(0, int)
        found |= {int(k) for k in np.flatnonzero(count > share * max(1, len(label)))}
    return sorted(found)


def _faces(
    xyz: NDArray[np.floating], normal: NDArray[np.floating], view: View
) -> NDArray[np.bool_]:
    """Which points (N,) are drawn: those whose side with the normal is seen, or all."""
    known = (normal != 0).any(axis=1)
    middle = (xyz.min(axis=0) + xyz.max(axis=0)) / 2
    inward = ((middle - xyz) * normal).sum(axis=1) > 0
    if not known.any() or inward[known].mean() < _INWARD:
        return np.ones(len(xyz), bool)
    rays = xyz - view.centre if view.focal else np.broadcast_to(view.rotation[2], xyz.shape)
    facing: NDArray[np.bool_] = ~known | ((rays * normal).sum(axis=1) <= 0)
    return facing


def _picture(column: Column, front: NDArray[np.int64]) -> str:
    white = np.array([[255, 255, 255]], np.uint8)
    image = np.vstack([column.colors, white])[front]
    return encode.labels(image) if column.few else encode.photo(image)
