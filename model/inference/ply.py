"""Point clouds as PLY files whose colours are classes, or similarities to a query.

The meaning of the colours is in the comments of the header, one JSON object per line. Files are
written atomically. They have the points of the file that was read, in its coordinates: `offset`
and `left_out` are those of `pipeline.scan.Cloud`. A point that was left out is not a number.
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
# What points without a position have; positions and similarities are not a number
_ABSENT = {"red": 0, "green": 0, "blue": 0, "label": -1, "confidence": 0, "segment": -1}
NOWHERE, NOBODY = np.zeros(3), np.empty(0, np.int64)


def write_labels(
    path: Path,
    xyz: NDArray[np.floating],
    label: NDArray[np.integer],
    confidence: NDArray[np.floating],
    segment: NDArray[np.integer],
    classes: Sequence[str],
    colors: NDArray[np.uint8],
    offset: NDArray[np.floating] = NOWHERE,
    left_out: NDArray[np.integer] = NOBODY,
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
    _write(path, xyz, shown, values, legend, offset, left_out)


def write_heat(
    path: Path,
    xyz: NDArray[np.floating],
    similarity: NDArray[np.floating],
    query: str,
    offset: NDArray[np.floating] = NOWHERE,
    left_out: NDArray[np.integer] = NOBODY,
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
    values = {"similarity": similarity.astype(np.float32)}
    _write(path, xyz, heat, values, [meaning], offset, left_out)


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
    offset: NDArray[np.floating],
    left_out: NDArray[np.integer],
) -> None:
    # Coordinates with an offset are too large for single precision.
    xyz = xyz.astype(np.float64) + offset if offset.any() else xyz.astype(np.float32)
    columns = {
        **dict(zip("xyz", xyz.T, strict=True)),
        **dict(zip(("red", "green", "blue"), rgb.T, strict=True)),
        **values,
    }
    there = np.ones(len(xyz) + len(left_out), bool)
    there[left_out] = False
    vertex = np.empty(len(there), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        vertex[name][there] = column
        if len(left_out):
            vertex[name][~there] = _ABSENT.get(name, np.nan)
    ply = PlyData(
        [PlyElement.describe(vertex, "vertex")],
        byte_order="<",
        comments=[json.dumps(comment) for comment in comments],  # each one line of ASCII
    )
    with whole_file(path) as partial:
        ply.write(str(partial))
