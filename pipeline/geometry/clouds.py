"""What a cloud of any origin needs for a network to label it."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.scan import Cloud

FAR = 1000.0  # metres from the origin: up to here single precision is exact to 0.03 mm


def whole_metres(xyz: NDArray[np.floating]) -> NDArray[np.float64]:
    """The whole metres (3,) to subtract from points (N, 3) before they are in single precision.

    0 for each axis on which most points are near. The median does not follow stray points.
    """
    middle = np.rint(np.median(xyz, axis=0).astype(np.float64))
    return np.where(np.abs(middle) > FAR, middle, 0.0)


def completed(cloud: Cloud, normals: bool, superpoints: bool) -> Cloud:
    """The cloud with `normals` and `superpoints`, where these are asked for and it has none at all.

    They are computed from positions and colours (`normals_and_superpoints`), as the readers of
    S3DIS and of folders do for training.
    """
    normals &= not cloud.normal.any()
    superpoints &= not (cloud.segment >= 0).any()
    if not normals and not superpoints:
        return cloud
    from pipeline.geometry.superpoints import normals_and_superpoints  # needs scipy

    normal, segment = normals_and_superpoints(cloud.xyz, cloud.rgb)
    return replace(
        cloud,
        normal=normal if normals else cloud.normal,
        segment=segment if superpoints else cloud.segment,
    )
