"""The cloud of one scan in any known form: a PLY file, or a folder that some reader recognises."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np

from pipeline import readers
from pipeline.errors import BadInput
from pipeline.geometry.extent import require_metres
from pipeline.readers.folder.upright import turn_up
from pipeline.readers.scan_file import read_scan_file
from pipeline.scan import Cloud


def read_any(path: Path, up: str | None = None, superpoints: bool = False) -> tuple[Cloud, str]:
    """The points of a scan with z up, in metres, and what it was read as, in words.

    `path` is a file of `read_scan_file`, or the folder of a scan that a reader recognises: ScanNet,
    a room of S3DIS (either release, with or without its angle) or RGB-D frames, whose depth is
    fused without a PLY file. `up` is the axis of the file that points up; without it y of glTF
    files, and z of others; folders of frames are turned upright by their cameras before.

    Normals are those of the file, or else of its faces; without either they are unknown (0), and so
    are those of S3DIS. Segments are unknown (-1) except for those of frames and, where
    `superpoints` are asked for, of a ScanNet scan that has them; `completed` computes what is
    unknown. Raises `BadInput` where there is no such scan, it is damaged, or its unit is
    not the metre.
    """
    if not path.exists():
        remedy = "give a file of points or the folder of a scan"
        raise BadInput(path, "no such file or folder", remedy)
    if path.is_file():
        points, kind, own_up = read_scan_file(path)
        cloud, up = points.cloud(), up or own_up
    else:
        cloud, kind = _read_folder(path, superpoints)
    if up not in (None, "z"):
        turn = turn_up(up).astype(np.float32)
        cloud = replace(
            cloud,
            xyz=cloud.xyz @ turn.T,
            normal=cloud.normal @ turn.T,
            offset=turn_up(up) @ cloud.offset,
        )
    require_metres(path, cloud.xyz)
    return cloud, kind


def _read_folder(path: Path, superpoints: bool) -> tuple[Cloud, str]:
    found = readers.recognise(path)
    if found is None:
        remedy = f"give the folder of a scan that one of {', '.join(readers.names())} reads"
        raise BadInput(path, "is not recognised as a scan", remedy)
    files = readers.load(found.reader, "files")
    groups = files.scan_files(found.raw, found.scan)
    if points := getattr(files, "POINTS_ONLY", None):
        return import_module(points).read_points_only(groups["cloud"], superpoints), files.KIND
    cloud = readers.load(found.reader, "cloud").read_cloud(groups["cloud"])
    fused = ", fused" if groups["cloud"].items() <= groups["frames"].items() else ""
    return cloud, files.KIND + fused
