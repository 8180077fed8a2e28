"""Write a simulated scan in the files of ScanNet v2, byte for byte in its formats.

Layouts: the public ScanNet code (SensReader, BenchmarkScripts, Segmentator) and its README.
The module takes plain arrays and does not depend on the simulation.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.scan import Frame
from pipeline.simulate.scannet_mesh import ObjectLabel, Surface, write_labels_mesh, write_mesh
from pipeline.simulate.scannet_sens import IMU_SAMPLE, Sensor, write_sens
from pipeline.simulate.scannet_text import (
    JsonStyle,
    write_aggregation,
    write_label_map_tsv,
    write_meta_txt,
    write_segments,
)

__all__ = [
    "IMU_SAMPLE",
    "ObjectLabel",
    "Sensor",
    "SimulatedScan",
    "Surface",
    "annotate_segments",
    "write_label_map_tsv",
    "write_scan",
]


@dataclass(frozen=True)
class SimulatedScan:
    """The content of the files of one scan. `frames` is iterated once."""

    scan: str  # scene9xxx_yy
    sensor: Sensor
    frames: Iterable[Frame]  # frame_id 0, 1, 2, ...; a pose that is not finite = tracking lost
    mesh: Surface  # the decimated mesh, `_vh_clean_2`
    objects: Mapping[int, ObjectLabel] | None  # from 1; None: a test scan, nothing annotated
    scene_type: str = "Misc."
    axis_alignment: NDArray[np.float64] | None = None  # (4, 4), None = identity
    imu: NDArray | None = None  # (I,) of IMU_SAMPLE, None = no sample
    hires: Surface | None = None  # the mesh before decimation, `_vh_clean`, or None


def write_scan(
    folder: Path, scan: SimulatedScan, json_style: JsonStyle = "released", crlf: bool = False
) -> None:
    """Write the files of one scan into `folder/<scan>/` (`folder` = `scans` or `scans_test`).

    A test scan gets the `.sens`, the `.txt` and the mesh only. `crlf` writes the line ends that
    some text files of the release have. Raises ValueError where a segment belongs to two objects
    (see `annotate_segments`) or the arrays do not match.
    """
    home = folder / scan.scan
    home.mkdir(parents=True, exist_ok=True)
    num_frames = write_sens(home / f"{scan.scan}.sens", scan.sensor, scan.frames, scan.imu)
    alignment = np.eye(4) if scan.axis_alignment is None else scan.axis_alignment
    write_meta_txt(
        home / f"{scan.scan}.txt",
        scan.sensor,
        num_frames,
        num_imu=0 if scan.imu is None else len(scan.imu),
        axis_alignment=None if scan.objects is None else alignment,
        scene_type=None if scan.objects is None else scan.scene_type,
        crlf=crlf,
    )
    surfaces = [("_vh_clean_2", "_vh_clean_2.0.010000", "", scan.mesh)]
    if scan.hires is not None:
        surfaces.append(("_vh_clean", "_vh_clean", "_vh_clean", scan.hires))
    for mesh_name, segments_name, aggregation_name, surface in surfaces:
        write_mesh(home / f"{scan.scan}{mesh_name}.ply", surface)
        if scan.objects is None:
            continue
        segments = home / f"{scan.scan}{segments_name}.segs.json"
        write_segments(segments, scan.scan, surface.segment, json_style, crlf)
        write_aggregation(
            home / f"{scan.scan}{aggregation_name}.aggregation.json",
            scan.scan,
            segments.name,
            surface,
            scan.objects,
            json_style,
            crlf,
        )
    if scan.objects is not None:
        labels = home / f"{scan.scan}_vh_clean_2.labels.ply"
        write_labels_mesh(labels, scan.mesh, scan.objects)


def annotate_segments(
    segment: NDArray[np.int32], object_id: NDArray[np.int32]
) -> NDArray[np.int32]:
    """The object of each vertex (V,) if complete segments are annotated: the most frequent in each.

    Ties go to the smaller object id.
    """
    pairs, counts = np.unique(np.stack([segment, object_id], 1), axis=0, return_counts=True)
    best_last = np.lexsort((-pairs[:, 1], counts, pairs[:, 0]))
    winners = dict(pairs[best_last])  # of equal keys the last one stays
    ids, vertex_to_id = np.unique(segment, return_inverse=True)
    return np.array([winners[i] for i in ids], np.int32)[vertex_to_id]
