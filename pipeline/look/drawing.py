"""The picture of frames, their classes and what is near a query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from pipeline.palette import palette

_INCHES = 3.6  # of an image's width in the picture
_LEGEND = 1.9  # entries to a line of the legend, for each column
_NAMED = 0.02  # share of a frame's pixels from which on an area is named in it
_LETTER = 0.017  # about how much of an image's width a letter of such a name takes
_HEAT = matplotlib.colormaps["inferno"]


@dataclass(frozen=True)
class Row:
    """A frame as it is shown, all of one size in pixels."""

    title: str
    image: NDArray[np.uint8]  # (H, W, 3)
    best: NDArray[np.int64]  # (H, W) index of the best class, -1 where nothing is known
    near: NDArray[np.float32]  # (Q, H, W) cosine to each query

    @property
    def grey(self) -> NDArray[np.float64]:
        """The image (H, W, 1) in [0, 1] without its colours, to be seen through others."""
        return np.asarray(Image.fromarray(self.image).convert("L"))[..., None] / 255


def draw(
    rows: Sequence[Row],
    classes: Sequence[Mapping[str, Any]],
    queries: Sequence[str],
    title: str,
    near: str = "cosine",
) -> Figure:
    """The picture: a row for each frame, its columns the image, the classes and each query.

    `near` says what numbers the rows have in their `near`.
    """
    columns, color = 2 + len(queries), colors(classes)
    count = np.bincount(
        np.concatenate([row.best[row.best >= 0] for row in rows]), minlength=len(classes)
    )
    shown = [k for k in np.argsort(-count, kind="stable") if count[k]]
    per_line = int(_LEGEND * columns)
    lines = -(-len(shown) // per_line)
    heights = [_INCHES * row.image.shape[0] / row.image.shape[1] for row in rows]
    size = (_INCHES * columns + 0.3, sum(heights) + 0.05 * len(rows) + 1.1 + 0.22 * lines)
    tight = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    figure = Figure(figsize=size, layout=tight, dpi=110)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    ratios = [*heights, 0.1] if queries else heights
    axes = figure.subplots(len(ratios), columns, squeeze=False, height_ratios=ratios)
    heads = ["the frame", f"best of {len(classes)} classes", *(f"“{q}”" for q in queries)]
    for axis, head in zip(axes[0], heads, strict=True):
        axis.set_title(head, fontsize=10)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for (first, second, *_), row in zip(axes, rows, strict=False):
        first.imshow(row.image)
        first.set_ylabel(row.title, fontsize=8)
        known = (row.best >= 0)[..., None]
        second.imshow(np.where(known, 0.72 * color[row.best] + 0.28 * row.grey, 1.0))
        _name_areas(second, row.best, [c["name"] for c in classes])
    for index in range(len(queries)):
        _draw_heat(figure, axes[:, 2 + index], rows, index, near)
    share = 100 * count / max(1, count.sum())
    figure.legend(
        [Patch(facecolor=color[k], edgecolor="0.4", linewidth=0.5) for k in shown],
        [f"{classes[k]['name']} {f'{share[k]:.0f}' if share[k] >= 1 else '< 1'} %" for k in shown],
        loc="outside lower left",
        ncols=per_line,
        fontsize=8.5,
        frameon=False,
    )
    return figure


def colors(classes: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """The colours (K, 3) of the classes in [0, 1]: their own, or distinct ones."""
    own = {one["name"]: one["color"] for one in classes if "color" in one}
    return palette([one["name"] for one in classes], own) / 255


def _name_areas(axis: Axes, best: NDArray[np.int64], names: Sequence[str]) -> None:
    """Write the name of a class into the midst of its largest area, unless that is small."""
    for k in np.unique(best[best >= 0]):
        areas, _ = ndimage.label(best == k)
        largest = np.bincount(areas.ravel())[1:].argmax() + 1
        inside = np.pad(areas == largest, 1)
        if inside.sum() < _NAMED * best.size:
            continue
        depth = ndimage.distance_transform_edt(inside)[1:-1, 1:-1]
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        half = min(0.5, _LETTER * len(names[k]) / 2) * best.shape[1]
        x = np.clip(x, half, best.shape[1] - half)  # no name leaves its image
        text = axis.text(x, y, names[k], fontsize=7.5, ha="center", va="center", clip_on=True)
        text.set_path_effects([withStroke(linewidth=1.6, foreground="white")])


def _draw_heat(
    figure: Figure, axes: NDArray[Any], rows: Sequence[Row], index: int, label: str
) -> None:
    """One scale for all frames, so that what is nowhere in them is nowhere bright."""
    near = [row.near[index] for row in rows]
    low, high = np.percentile(np.concatenate([n.ravel() for n in near]), (0.5, 99.8))
    norm = Normalize(low, max(high, low + 1e-6))
    for axis, cosine, row in zip(axes, near, rows, strict=False):
        axis.imshow(0.75 * _HEAT(norm(cosine))[..., :3] + 0.25 * row.grey)
    bar = figure.colorbar(ScalarMappable(norm, _HEAT), cax=axes[-1], orientation="horizontal")
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
