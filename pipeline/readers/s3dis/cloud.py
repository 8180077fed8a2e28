"""The points of a room of S3DIS in the coordinates of its area, as the camera poses."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.geometry.superpoints import normals_and_superpoints
from pipeline.readers.s3dis.alignment import read_angle, turned
from pipeline.readers.s3dis.objects import warn_of_missing
from pipeline.readers.s3dis.point_text import all_aligned, read_points
from pipeline.scan import Cloud

PACKAGES = ("numpy", "scipy")


def read_cloud(files: Mapping[str, Path]) -> Cloud:
    """Read the group "cloud" of `pipeline.readers.s3dis.files.scan_files`.

    Both releases give the same points, up to their rounding to millimetres: those of the aligned
    one, which come with "angles", are rotated back. The dataset has neither normals nor
    superpoints; both are computed from positions and colours alone, not from the annotated objects.
    Raises `BadInput`, and warns about each repaired line and of objects that are not there.
    """
    texts = [path for name, path in files.items() if name != "angles"]
    if not texts:
        raise BadInput("cloud", "the room has no text cloud", "download S3DIS")
    points = [read_points(path) for path in texts]
    xyz = np.concatenate([xyz for xyz, _ in points])
    rgb = np.concatenate([rgb for _, rgb in points])
    if "room" not in files:
        warn_of_missing(texts[0].parent.parent, len(xyz))
    if all_aligned(texts):
        folder = texts[0].parent if "room" in files else texts[0].parent.parent
        if "angles" not in files:
            what = "is of the aligned release, and there is no angle to turn it back"
            raise BadInput(
                folder, what, "copy Area_N_alignmentAngle.txt from Stanford3dDataset_v1.2"
            )
        xyz = turned(xyz, read_angle(files["angles"], folder.name))
    normal, segment = normals_and_superpoints(xyz, rgb)
    return Cloud(xyz.astype(np.float32), rgb, normal, segment)
