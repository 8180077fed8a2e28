"""Figures of a scan that are useful before a long run."""

import numpy as np
from numpy.typing import NDArray

from pipeline.doctor.views import Array, Sample, View, luminance, pixels
from pipeline.doctor.whole import Whole
from pipeline.geometry.cameras import transform
from pipeline.geometry.pairs import Agreement, length
from pipeline.geometry.visibility import Camera, see
from pipeline.images import luma
from pipeline.scan import Cloud, RawFrames

_SHOWN = 100_000  # points
_FRAME = 4000  # pixels of a frame, where it gives the points
_TOLERANCE = 0.05, 0.02  # metres, and share of the depth, between a seen point and the depth


def points(sample: Sample, cloud: Cloud | None) -> tuple[Array, NDArray[np.uint8]]:
    """Positions (P, 3) and brightness (P,) of a scan's cloud, or else of its frames' pixels."""
    if cloud is not None:
        every = -(-len(cloud.xyz) // _SHOWN)
        grey = luma(cloud.rgb[::every])
        return cloud.xyz[::every].astype(float), grey.astype(np.uint8)
    found = []
    for view in sample.at():
        xyz, uv = pixels(view, _FRAME)
        found.append((transform(view.camera_to_world, xyz), luminance(view, uv)[1]))
    xyz, grey = (np.concatenate(each) for each in zip(*found, strict=True))
    return xyz, grey.astype(np.uint8)


def seen(view: View, xyz: Array) -> tuple[NDArray[np.intp], Array, Array]:
    """The points (N, 3) that a frame sees: index, uv (S, 2) in its colour image, z (S,) metres."""
    height, width = view.color.shape[:2]
    camera = Camera(
        (width, height),
        view.color_intrinsics,
        view.depth,
        1.0,
        view.depth_intrinsics,
        view.camera_to_world,
    )
    return see(camera, xyz, *_TOLERANCE)


def facts(
    raw: RawFrames,
    sample: Sample,
    cloud: Cloud | None,
    agreement: Agreement | None,
    whole: Whole | None,
) -> dict[str, str]:
    """Facts about a scan by name, in the order in which they are shown.

    `whole` is None where an image of the recording is damaged.
    """
    depth = np.concatenate([view.depth[view.depth > 0] for view in sample.at()])
    measured = np.mean([(view.depth > 0).mean() for view in sample.at()])
    steps = np.linalg.norm(np.diff(sample.path, axis=0), axis=1)
    found = {
        "frames": f"{sample.count}, {sample.lost} of them without a valid pose; "
        f"{len(sample.places)} examined",
        "colour": "{} x {} px".format(*raw.color_size),
        "depth": "{} x {} px".format(*raw.depth_size) + f", {100 * measured:.0f} % measured",
    }
    if len(depth):
        low, middle, high = np.percentile(depth, (5, 50, 95))
        found["depth in metres"] = f"{low:.2f} to {high:.2f}, half below {middle:.2f}"
    found["camera's path"] = f"{steps.sum():.1f} m"
    if whole is not None:
        some = f"{whole.frames} of " if whole.frames < whole.count else ""
        source = "of the points" if cloud else f"of what {some}all {whole.count} frames see"
        found["extent"] = "{:.1f} x {:.1f} x {:.1f} m ".format(*whole.extent) + source
    found["agreement"] = "not measured: frames share too little"
    if agreement is not None:
        found["agreement"] = (
            f"{agreement.frames} frames disagree by {length(agreement.metres)} about what "
            f"they see (right ones by {length(agreement.bound)} at most)"
        )
    if cloud is not None:
        found["points"] = f"{len(cloud.xyz):,}"
    if whole is not None and whole.seen is not None:
        found["coverage"] = (
            f"{100 * whole.seen:.0f} % of the points are seen by {some}all {whole.count} frames, "
            f"by {whole.views:.1f} of them each"
        )
    return found
