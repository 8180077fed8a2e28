"""Write a simulated scan as ScanNet v2 writes a real one, byte for byte.

Layouts: the public ScanNet code (SensReader, BenchmarkScripts, Segmentator) and its README.
Nothing here knows how a room is simulated; it takes plain arrays.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.scan import Frame

JsonStyle = Literal["released", "compact"]  # as in the release; as the public Segmentator writes

IMU_SAMPLE = np.dtype(
    [
        ("rotation_rate", "<f8", 3),
        ("acceleration", "<f8", 3),
        ("magnetic_field", "<f8", 3),
        ("attitude", "<f8", 3),
        ("gravity", "<f8", 3),
        ("timestamp", "<u8"),
    ]
)


@dataclass(frozen=True)
class Sensor:
    """The header of a `.sens`; real scans keep depth = colour rescaled to its size."""

    color_size: tuple[int, int]  # (width, height)
    depth_size: tuple[int, int]
    color_intrinsics: NDArray[np.float64]  # (3, 3)
    depth_intrinsics: NDArray[np.float64]  # (3, 3)
    depth_scale: float = 1000.0  # metres = depth / depth_scale
    name: str = "StructureSensor"
    color_compression: Literal["raw", "png", "jpeg"] = "jpeg"  # what `Frame.color` holds
    depth_compression: Literal["raw", "zlib"] = "zlib"  # what the writer makes of `Frame.depth`


@dataclass(frozen=True)
class Surface:
    """A coloured mesh, its over-segments and the object that each vertex belongs to."""

    xyz: NDArray[np.float32]  # (V, 3) metres, z up, in the world of the camera poses
    rgb: NDArray[np.uint8]  # (V, 3)
    faces: NDArray[np.int32]  # (F, 3) vertex indices
    segment: NDArray[np.int32]  # (V,) id = index of one of the segment's own vertices
    object_id: NDArray[np.int32]  # (V,) key of `SimulatedScan.objects`, 0 = not annotated


@dataclass(frozen=True)
class ObjectLabel:
    """What an annotator calls an object, and the NYU40 id that the label mesh carries for it."""

    raw_category: str  # free text; the release has trailing blanks in places
    nyu40: int  # 1..40; the release also has stray ids (50, 149)


@dataclass(frozen=True)
class SimulatedScan:
    """All that the files of one scan hold. `frames` is gone through once, one at a time."""

    scan: str  # scene9xxx_yy
    sensor: Sensor
    frames: Iterable[Frame]  # frame_id 0, 1, 2, ...; a pose that is not finite = tracking lost
    mesh: Surface  # the decimated mesh, `_vh_clean_2`
    objects: Mapping[int, ObjectLabel] | None  # from 1; None: a test scan, nothing annotated
    scene_type: str = "Misc."
    axis_alignment: NDArray[np.float64] | None = None  # (4, 4), None = identity
    imu: NDArray | None = None  # (I,) of IMU_SAMPLE, None = no sample
    hires: Surface | None = None  # the mesh before decimation, `_vh_clean`, where one is wanted


def write_scan(
    folder: Path, scan: SimulatedScan, json_style: JsonStyle = "released", crlf: bool = False
) -> None:
    """Write the files of one scan into `folder/<scan>/` (`folder` = `scans` or `scans_test`).

    A test scan gets the `.sens`, the `.txt` and the mesh only. `crlf` ends the lines of the text
    files as part of the release does. Raises ValueError where a segment belongs to two objects
    (see `annotate_segments`) or the arrays do not fit each other.
    """
    raise NotImplementedError


def annotate_segments(
    segment: NDArray[np.int32], object_id: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Object of each vertex (V,) when whole segments are annotated: the most frequent in each.

    Ties go to the smaller object id.
    """
    raise NotImplementedError


def write_label_map_tsv(path: Path, nyu40: Mapping[str, int], crlf: bool = True) -> None:
    """Write `scannetv2-labels.combined.tsv` for the given raw categories (goes into raw root)."""
    raise NotImplementedError
