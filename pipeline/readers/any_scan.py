"""The cloud of one scan, whatever it lies in: a PLY file, or a folder of a dataset or of frames."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.readers.folder import cloud as folder_cloud
from pipeline.readers.folder import files as folder
from pipeline.readers.folder.ply import read_points
from pipeline.readers.folder.upright import turn_up
from pipeline.readers.s3dis import files as s3dis
from pipeline.readers.s3dis import text as s3dis_text
from pipeline.scan import Cloud

MOST_HEIGHT = 50.0  # metres: no room is as high, but one in centimetres is


def read_any(path: Path, up: str = "z") -> tuple[Cloud, str]:
    """The points of a scan with z up, in metres, and what it was read as.

    `path` is a PLY file, or the folder of a ScanNet scan, of a room of S3DIS (either release, with
    or without its angle) or of RGB-D frames, which are fused. `up` is the axis of the file that
    points up; folders of frames are turned upright by their cameras before. Normals and segments
    are unknown (0 and -1) but for those of frames. Raises `BadInput` where there is no such scan,
    it is damaged, or its unit is not the metre.
    """
    if not path.exists():
        raise BadInput(path, "no such file or folder", "name a PLY file or the folder of a scan")
    mesh = path / f"{path.resolve().name}_vh_clean_2.ply"
    if path.is_file():
        cloud, kind = _bare(*read_points(path)[:2]), "a PLY file"
    elif mesh.is_file():
        cloud, kind = _bare(*read_points(mesh)[:2]), "a scan of ScanNet"
    elif texts := _room(path.resolve()):
        parts = [s3dis_text.read_points(text) for text in texts]
        xyz, rgb = (np.concatenate(each) for each in zip(*parts, strict=True))
        cloud, kind = _bare(xyz, rgb), "a room of S3DIS"
    else:
        place = path.resolve()
        files = folder.scan_files(place.parent, place.name)["cloud"]
        cloud = folder_cloud.read_cloud(files)
        kind = "frames and a PLY file" if folder.CLOUD in files else "frames, fused"
    if up != "z":
        turn = turn_up(up).astype(np.float32)
        cloud = Cloud(cloud.xyz @ turn.T, cloud.rgb, cloud.normal @ turn.T, cloud.segment)
    low, high = np.percentile(cloud.xyz[:, 2], (1, 99))
    if high - low > MOST_HEIGHT:
        what = f"is {high - low:.0f} m high if its unit is the metre"
        raise BadInput(path, what, "bring it into metres, or say which axis is `up`")
    return cloud, kind


def _room(path: Path) -> list[Path]:
    """The text clouds of a room of S3DIS, none if the folder is no such room.

    They are taken as they lie: for a network that rooms were turned for, one turn is like another.
    """
    scan = f"{path.parent.name}_{path.name}"
    if not s3dis.SCAN_NAME.fullmatch(scan):
        return []
    files = s3dis.scan_files(path.parent.parent, scan)["cloud"]
    return [file for name, file in files.items() if name != "angles"]


def _bare(xyz: NDArray[np.floating], rgb: NDArray[np.uint8]) -> Cloud:
    return Cloud(
        xyz=xyz.astype(np.float32),
        rgb=rgb,
        normal=np.zeros((len(xyz), 3), np.float32),
        segment=np.full(len(xyz), -1, np.int32),
    )
