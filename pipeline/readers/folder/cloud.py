"""The points of a folder of RGB-D frames: its PLY file, or else its fused depth images."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.geometry.clouds import whole_metres
from pipeline.geometry.extent import require_metres
from pipeline.geometry.superpoints import normals_and_superpoints
from pipeline.readers.folder.files import CLOUD
from pipeline.readers.folder.frames import open_frames
from pipeline.readers.ply import read_ply
from pipeline.readers.points import NOBODY
from pipeline.scan import Cloud

PACKAGES = ("lzfse", "numpy", "open3d", "openexr", "pillow", "plyfile", "scipy")


def read_cloud(files: Mapping[str, Path]) -> Cloud:
    """Read the group "cloud" of `pipeline.readers.folder.files.scan_files`.

    A PLY file must have the coordinates of the poses, and is turned upright with them. It may lack
    normals; superpoints are computed from positions and colours. Raises `BadInput`.
    """
    frames = open_frames(files)
    if CLOUD in files:
        points = read_ply(files[CLOUD])
        rgb, left_out = points.rgb, points.left_out
        xyz = points.xyz @ frames.turn.T - frames.offset
        normal = None if points.normal is None else points.normal @ frames.turn.T
        require_metres(files[CLOUD], xyz)
        if whole_metres(xyz).any():
            away = np.abs(np.median(xyz, axis=0)).max()
            what = f"is {away:,.0f} m from the cameras"
            raise BadInput(files[CLOUD], what, "give it the coordinates of the poses")
    else:
        from pipeline.readers.folder.fuse import fuse  # loads Open3D, for seconds

        (xyz, rgb, normal), left_out = fuse(frames), NOBODY
    found, segment = normals_and_superpoints(xyz, rgb)
    return Cloud(
        xyz=xyz.astype(np.float32),
        rgb=rgb,
        normal=found if normal is None else normal.astype(np.float32),
        segment=segment,
        offset=frames.offset,
        left_out=left_out,
    )
