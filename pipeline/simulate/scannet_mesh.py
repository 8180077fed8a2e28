"""Write the meshes of a scan in the format of ScanNet's tools: binary PLY, byte for byte."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.readers.scannet.nyu40 import NYU40


@dataclass(frozen=True)
class Surface:
    """A coloured mesh, its superpoints and the object of each vertex."""

    xyz: NDArray[np.float32]  # (V, 3) metres, z up, in the world of the camera poses
    rgb: NDArray[np.uint8]  # (V, 3)
    faces: NDArray[np.int32]  # (F, 3) vertex indices
    segment: NDArray[np.int32]  # (V,) id = index of one of the segment's own vertices
    object_id: NDArray[np.int32]  # (V,) key of `SimulatedScan.objects`, 0 = not annotated

    def __post_init__(self) -> None:
        """Raise ValueError where the arrays do not match."""
        for name in ("xyz", "rgb", "segment", "object_id"):
            if len(getattr(self, name)) != len(self.xyz):
                raise ValueError(f"{name} is not given for each of {len(self.xyz)} vertices")
        if not np.array_equal(self.segment[self.segment], self.segment):
            raise ValueError("a segment's id must be the index of one of its vertices")


@dataclass(frozen=True)
class ObjectLabel:
    """An annotator's name for an object, and its NYU40 id in the label mesh."""

    raw_category: str  # free text; the release has trailing blanks in places
    nyu40: int  # 1..40; the release also has stray ids (50, 149)


def write_mesh(path: Path, surface: Surface) -> None:
    """Write a `_vh_clean*.ply`."""
    _write_ply(path, "VCGLIB", surface, surface.rgb, None)


def write_labels_mesh(path: Path, surface: Surface, objects: Mapping[int, ObjectLabel]) -> None:
    """Write `_vh_clean_2.labels.ply`: NYU40 ids, and their colours (black for stray ids)."""
    nyu40_of_object = np.zeros(1 + max(objects, default=0), np.uint16)
    for object_id, label in objects.items():
        nyu40_of_object[object_id] = label.nyu40
    nyu40 = nyu40_of_object[surface.object_id]
    palette = np.array([each.color for each in NYU40], np.uint8)
    known = np.where(nyu40 < len(palette), nyu40, 0)
    _write_ply(path, "MLIB", surface, palette[known], nyu40)


def _write_ply(
    path: Path,
    writer: str,
    surface: Surface,
    rgb: NDArray[np.uint8],
    label: NDArray[np.uint16] | None,
) -> None:
    fields = [("xyz", "<f4", 3), ("rgb", "u1", 3), ("alpha", "u1")]
    vertices = np.zeros(len(surface.xyz), fields if label is None else [*fields, ("label", "<u2")])
    vertices["xyz"], vertices["rgb"], vertices["alpha"] = surface.xyz, rgb, 255
    properties = ["float x", "float y", "float z"]
    properties += [f"uchar {name}" for name in ("red", "green", "blue", "alpha")]
    if label is not None:
        vertices["label"] = label
        properties.append("ushort label")
    faces = np.zeros(len(surface.faces), [("count", "u1"), ("vertices", "<i4", 3)])
    faces["count"], faces["vertices"] = 3, surface.faces
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {writer} generated",
        f"element vertex {len(vertices)}",
        *(f"property {each}" for each in properties),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header\n",
    ]
    with open(path, "wb") as file:
        file.write("\n".join(header).encode())
        file.write(vertices.tobytes())
        file.write(faces.tobytes())
