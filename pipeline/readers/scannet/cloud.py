"""The points of a ScanNet scan: the vertices of its decimated mesh, in the poses' coordinates."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.geometry.mesh import vertex_normals
from pipeline.readers.scannet.annotations import read_segments
from pipeline.readers.scannet.ply import read_mesh, xyz_of
from pipeline.scan import Cloud


def read_cloud(files: Mapping[str, Path]) -> Cloud:
    """Read the group "cloud" of `pipeline.readers.scannet.files.scan_files`: "mesh" and "segments".

    The points are *not* axis-aligned, because the camera poses refer to the mesh as it is.
    Without "segments" (test scans have none) every segment is -1. Raises `BadInput`.
    """
    vertices, faces = read_mesh(files["mesh"])
    xyz = xyz_of(vertices)
    if "segments" in files:
        segment = read_segments(files["segments"], len(xyz))
    else:
        segment = np.full(len(xyz), -1, np.int32)
    return Cloud(
        xyz=xyz,
        rgb=np.stack([vertices[c] for c in ("red", "green", "blue")], 1).astype(np.uint8),
        normal=vertex_normals(xyz, faces).astype(np.float32),
        segment=segment,
    )
