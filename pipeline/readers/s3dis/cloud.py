"""The points of a room of S3DIS in the frame of its area, where the camera poses are."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.geometry.oversegment import describe
from pipeline.readers.s3dis.alignment import read_angle, turned
from pipeline.readers.s3dis.text import is_aligned, read_points
from pipeline.scan import Cloud

PACKAGES = ("numpy", "scipy")


def read_cloud(files: Mapping[str, Path]) -> Cloud:
    """Read the group "cloud" of `pipeline.readers.s3dis.files.scan_files`.

    Both releases give the same points, to the millimetre that they are rounded to: those of the
    aligned one, which come with "angles", are turned back. The dataset has neither normals nor
    over-segments; both follow from positions and colours alone, not from the annotated objects.
    Raises `BadInput`, and warns of each line that was repaired.
    """
    texts = [path for name, path in files.items() if name != "angles"]
    if not texts:
        raise BadInput("cloud", "the room has no text cloud", "download S3DIS")
    points = [read_points(path) for path in texts]
    xyz = np.concatenate([xyz for xyz, _ in points])
    rgb = np.concatenate([rgb for _, rgb in points])
    if is_aligned(texts[0]):
        folder = texts[0].parent if "room" in files else texts[0].parent.parent
        if "angles" not in files:
            what = "is of the aligned release, and there is no angle to turn it back"
            raise BadInput(
                folder, what, "copy Area_N_alignmentAngle.txt from Stanford3dDataset_v1.2"
            )
        xyz = turned(xyz, read_angle(files["angles"], folder.name))
    normal, segment = describe(xyz, rgb)
    return Cloud(xyz.astype(np.float32), rgb, normal, segment)
