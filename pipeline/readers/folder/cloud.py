"""The points of a folder of RGB-D frames: its PLY file, or else its fused depth images."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.geometry.superpoints import normals_and_superpoints
from pipeline.readers.folder.files import CLOUD
from pipeline.readers.folder.frames import open_frames
from pipeline.readers.ply import read_points
from pipeline.scan import Cloud

PACKAGES = ("lzfse", "numpy", "open3d", "openexr", "pillow", "plyfile", "scipy")


def read_cloud(files: Mapping[str, Path]) -> Cloud:
    """Read the group "cloud" of `pipeline.readers.folder.files.scan_files`.

    A PLY file must have the coordinates of the poses, and is turned upright with them. It may lack
    normals; superpoints are computed from positions and colours. Raises `BadInput`.
    """
    frames = open_frames(files)
    if CLOUD in files:
        xyz, rgb, normal = read_points(files[CLOUD])
        xyz = xyz @ frames.turn.T
        normal = None if normal is None else normal @ frames.turn.T
    else:
        from pipeline.readers.folder.fuse import fuse  # loads Open3D, for seconds

        xyz, rgb, normal = fuse(frames)
    found, segment = normals_and_superpoints(xyz, rgb)
    return Cloud(
        xyz=xyz.astype(np.float32),
        rgb=rgb,
        normal=found if normal is None else normal.astype(np.float32),
        segment=segment,
    )
