"""Point clouds as PLY files whose colours are classes, or similarities to a query.

The meaning of the colours is in the comments of the header, one JSON object per line. Files are
written atomically.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement

from pipeline.whole_file import whole_file

UNLABELLED = (0, 0, 0)  # the colour of points without a class
RAMP = "inferno"  # black, violet, orange, yellow
_SPREAD = (2, 98)  # percentiles of the similarities at the ends of the ramp


def write_labels(
    path: Path,
    xyz: NDArray[np.floating],
    label: NDArray[np.integer],
    confidence: NDArray[np.floating],
    segment: NDArray[np.integer],
    classes: Sequence[str],
    colors: NDArray[np.uint8],
) -> None:
    """Write points (N, 3) coloured by their class, with `label`, `confidence` and `segment` (N,).

    `label` is a number of `classes`, or -1 (black) for no class; `segment` is a connected region of
    one class. `colors` (K, 3) are those of `pipeline.palette`. The comments give the name, the
    colour and the number of points of each class. Raises `BadInput` if the file cannot be written.
    """
    shown = np.vstack([colors, np.array([UNLABELLED], np.uint8)])[label]
    count = np.bincount(label[label >= 0], minlength=len(classes))
    legend = [
        {"class": index, "name": name, "color": f"#{bytes(color).hex()}", "points": int(points)}
        for index, (name, color, points) in enumerate(zip(classes, colors, count, strict=True))
    ]
    values: dict[str, NDArray] = {
        "label": label.astype(np.int16),
        "confidence": confidence.astype(np.float32),
        "segment": segment.astype(np.int32),
    }
    _write(path, xyz, shown, values, legend)


def write_heat(
    path: Path, xyz: NDArray[np.floating], similarity: NDArray[np.floating], query: str
) -> None:
    """Write points (N, 3) coloured by their `similarity` (N,) to a query, from black to yellow.

    The ramp goes from the 2nd to the 98th percentile, which are in the comment: colours show where
    in this cloud the query fits best, not whether it fits. Raises `BadInput` if the file cannot be
    written.
    """
    low, high = np.percentile(similarity, _SPREAD)
    share = np.clip((similarity - low) / max(high - low, 1e-9), 0, 1)
    heat = colormaps[RAMP](share, bytes=True)[:, :3]
    meaning = {"query": query, "ramp": RAMP, "from": round(low, 4), "to": round(high, 4)}
    _write(path, xyz, heat, {"similarity": similarity.astype(np.float32)}, [meaning])


def read_comments(path: Path) -> list[dict[str, Any]]:
    """The comments of a file that was written by this module."""
    with path.open("rb") as file:
        header = iter(file.readline, b"end_header\n")
        return [json.loads(line[8:]) for line in header if line.startswith(b"comment {")]


def _write(
    path: Path,
    xyz: NDArray[np.floating],
    rgb: NDArray[np.uint8],
    values: Mapping[str, NDArray],
    comments: Sequence[Mapping[str, Any]],
) -> None:
    columns = {
        **dict(zip("xyz", xyz.T.astype(np.float32), strict=True)),
        **dict(zip(("red", "green", "blue"), rgb.T, strict=True)),
        **values,
    }
    vertex = np.empty(len(xyz), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        vertex[name] = column
    ply = PlyData(
        [PlyElement.describe(vertex, "vertex")],
        byte_order="<",
        comments=[json.dumps(comment) for comment in comments],  # each one line of ASCII
    )
    with whole_file(path) as partial:
        ply.write(str(partial))
