"""Write the text files of a scan in the formats of ScanNet's release and tools."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.readers.scannet.nyu40 import NYU40
from pipeline.simulate.scannet_mesh import ObjectLabel, Surface
from pipeline.simulate.scannet_sens import Sensor

JsonStyle = Literal["released", "compact"]  # as in the release; as the public Segmentator writes

RELEASED_PARAMS = {
    "kThresh": "0.0001",
    "segMinVerts": "20",
    "minPoints": "750",
    "maxPoints": "30000",
    "thinThresh": "0.05",
    "flatThresh": "0.001",
    "minLength": "0.02",
    "maxLength": "1",
}
LABEL_MAP_COLUMNS = [
    *("id", "raw_category", "category", "count", "nyu40id", "eigen13id", "nyuClass", "nyu40class"),
    *("eigen13class", "ModelNet40", "ModelNet10", "ShapeNetCore55", "synsetoffset", "wnsynsetid"),
    *("wnsynsetkey", "mpcat40", "mpcat40index"),
]


def write_segments(
    path: Path, scan: str, segment: NDArray[np.int32], style: JsonStyle, crlf: bool
) -> None:
    """Write a `.segs.json`."""
    ids = segment.tolist()
    if style == "compact":
        params = {"kThresh": 0.01, "segMinVerts": 20}
        text = _compact({"params": params, "sceneId": scan, "segIndices": ids})
    else:
        inner = ",\n".join(f'\t"{key}": "{value}"' for key, value in RELEASED_PARAMS.items())
        text = (
            f'{{\n"params": {{\n{inner}\n}}\n,\n"sceneId": "{scan}",\n'
            f'"segIndices": {_compact(ids)}\n}}\n'
        )
    _write_text(path, text, crlf)


def write_aggregation(
    path: Path,
    scan: str,
    segments_file: str,
    surface: Surface,
    objects: Mapping[int, ObjectLabel],
    style: JsonStyle,
    crlf: bool,
) -> None:
    """Write an `.aggregation.json`: the segments of each object, objectId = its id - 1.

    Raises ValueError where a segment belongs to two objects.
    """
    pairs = np.unique(np.stack([surface.object_id, surface.segment], 1), axis=0)
    if len(np.unique(pairs[:, 1])) != len(pairs):
        raise ValueError(f"{scan}: a segment belongs to two objects")
    groups = []
    for index, object_id in enumerate(o for o in np.unique(pairs[:, 0]).tolist() if o > 0):
        segments = pairs[pairs[:, 0] == object_id, 1].tolist()
        label = objects[object_id].raw_category
        groups.append(
            {"id": index, "objectId": object_id - 1, "segments": segments, "label": label}
        )
    head: dict[str, Any] = {"sceneId": scan, "appId": "Aggregator.v1"}
    if style == "compact":
        text = _compact({**head, "segGroups": groups, "segmentsFile": segments_file})
    else:
        entries = ",\n".join(
            "\t{\n"
            + ",\n".join(f'\t"{key}": {_compact(value)}' for key, value in group.items())
            + "\n\t}"
            for group in groups
        )
        text = (
            f'{{\n"sceneId": "{scan}",\n"appId": "Aggregator.v1",\n"segGroups": [\n{entries}\n],\n'
            f'"segmentsFile": "{segments_file}"\n}}\n'
        )
    _write_text(path, text, crlf)


def write_meta_txt(
    path: Path,
    sensor: Sensor,
    num_frames: int,
    num_imu: int,
    axis_alignment: NDArray[np.float64] | None,
    scene_type: str | None,
    crlf: bool,
) -> None:
    """Write `<scan>.txt`; a test scan's has neither axisAlignment nor sceneType (None)."""
    values: dict[str, Any] = {
        "colorHeight": sensor.color_size[1],
        "colorToDepthExtrinsics": _matrix_text(np.eye(4)),
        "colorWidth": sensor.color_size[0],
        "depthHeight": sensor.depth_size[1],
        "depthWidth": sensor.depth_size[0],
        "numColorFrames": num_frames,
        "numDepthFrames": num_frames,
        "numIMUmeasurements": num_imu,
    }
    if axis_alignment is not None:
        values["axisAlignment"] = _matrix_text(axis_alignment)
    if scene_type is not None:
        values["sceneType"] = scene_type
    for kind, k in (("color", sensor.color_intrinsics), ("depth", sensor.depth_intrinsics)):
        for key, value in (("fx", k[0, 0]), ("fy", k[1, 1]), ("mx", k[0, 2]), ("my", k[1, 2])):
            values[f"{key}_{kind}"] = f"{value:f}"
    lines = [f"{key} = {value}\n" for key, value in sorted(values.items())]
    _write_text(path, "".join(lines), crlf)


def write_label_map_tsv(path: Path, nyu40: Mapping[str, int], crlf: bool = True) -> None:
    """Write `scannetv2-labels.combined.tsv` for the given raw categories (goes into raw root)."""
    rows = [LABEL_MAP_COLUMNS]
    for index, (raw_category, nyu40_id) in enumerate(nyu40.items(), start=1):
        known = {
            "id": str(index),
            "raw_category": raw_category.strip(),
            "category": raw_category.strip(),
            "count": "1",
            "nyu40id": str(nyu40_id),
            "nyu40class": NYU40[nyu40_id].name,
        }
        rows.append([known.get(column, "") for column in LABEL_MAP_COLUMNS])
    _write_text(path, "\n".join("\t".join(row) for row in rows), crlf)


def _matrix_text(matrix: NDArray[np.float64]) -> str:
    return "".join(f"{value:f} " for value in np.ravel(matrix))  # trailing blank as released


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _write_text(path: Path, text: str, crlf: bool) -> None:
    path.write_bytes((text.replace("\n", "\r\n") if crlf else text).encode())
