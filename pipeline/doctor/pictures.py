"""Pictures for the page: points over images, the scan from above, and a histogram of depth."""

import base64
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure

from pipeline.doctor.statistics import points, seen
from pipeline.doctor.views import Sample
from pipeline.scan import Cloud

_OVERLAYS = 3
_DOTS = 4000  # points drawn over an image
_SHOWN_BELOW = 80  # percentile of height: the ceiling is not shown from above


def overlays(sample: Sample, cloud: Cloud | None) -> str:
    """Points of the scan over some frames: with correct poses they are on the surfaces in view."""
    views, (xyz, _) = sample.at(), points(sample, cloud)
    chosen = views[:: max(1, len(views) // _OVERLAYS)][:_OVERLAYS]
    high, wide = chosen[0].color.shape[:2]
    figure = Figure(figsize=(4.2 * len(chosen), 4.2 * high / wide + 0.4), layout="constrained")
    for axis, view in zip(figure.subplots(1, len(chosen), squeeze=False)[0], chosen, strict=True):
        height, width = view.color.shape[:2]
        index, uv, z = seen(view, xyz)
        every = max(1, len(index) // _DOTS)
        axis.imshow(view.color)
        axis.scatter(
            uv[::every, 0], uv[::every, 1], c=z[::every], s=1.5, cmap="turbo", linewidths=0
        )
        axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])
        axis.set_title(f"frame {view.frame_id}: {len(index):,} points confirmed", fontsize=9)
    return _encoded(figure)


def from_above(sample: Sample, cloud: Cloud | None) -> str:
    """The scan without its ceiling, the camera's path and the examined frames."""
    xyz, grey = points(sample, cloud)
    low = xyz[:, 2] <= np.percentile(xyz[:, 2], _SHOWN_BELOW)
    order = np.flatnonzero(low)[np.argsort(xyz[low, 2])]
    figure = Figure(figsize=(5.2, 5.2), layout="constrained")
    axis = figure.subplots()
    x, y = xyz[order, :2].T
    axis.scatter(x, y, c=grey[order], s=0.8, cmap="gray", vmin=0, vmax=255)
    axis.plot(*sample.path[:, :2].T, color="tab:blue", linewidth=1, label="camera's path")
    poses = np.array([view.camera_to_world for view in sample.at()])
    axis.quiver(
        *poses[:, :2, 3].T,
        *poses[:, :2, 2].T,
        color="tab:red",
        width=0.006,
        scale=14,
        zorder=3,
        label="viewing direction",
    )
    axis.set(aspect="equal", xlabel="x in metres", ylabel="y in metres")
    axis.legend(loc="upper right", fontsize=8)
    return _encoded(figure)


def depths(sample: Sample) -> str:
    """A histogram of the measured depth."""
    depth = np.concatenate([view.depth[view.depth > 0] for view in sample.at()])
    figure = Figure(figsize=(5.2, 2.6), layout="constrained")
    axis = figure.subplots()
    axis.hist(depth, bins=60, color="tab:blue")
    axis.set(xlabel="depth in metres", yticks=[])
    return _encoded(figure)


def _encoded(figure: Figure) -> str:
    """A figure as a base64-encoded PNG file, to be embedded in a page."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=80)
    return base64.b64encode(file.getvalue()).decode()
