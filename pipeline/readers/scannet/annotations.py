"""Superpoints (`*.segs.json`) and the objects made of them (`*.aggregation.json`).

The released files and those of the public tools differ in details (strings or numbers for the
parameters, indentation, a prefix before the scan's name), none of which is read.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput

DOWNLOAD = "download it again"


class Group(NamedTuple):
    """One annotated object."""

    object_id: int  # from 0
    segments: NDArray[np.int32]
    raw_category: str  # without the trailing blanks that some releases have


def read_segments(path: Path, num_vertices: int) -> NDArray[np.int32]:
    """Superpoint id of each vertex, (V,). Raises `BadInput` where their number differs."""
    segments = _integers(path, _field(path, _load(path), "segIndices", list), "segIndices")
    if len(segments) != num_vertices:
        raise BadInput(
            path,
            f"has {len(segments)} segment ids for a mesh of {num_vertices} vertices",
            "use both files of the same release (the decimated mesh, _vh_clean_2)",
        )
    return segments


def read_groups(path: Path) -> list[Group]:
    """The annotated objects in the order of the file. Raises `BadInput`."""
    groups = []
    for entry in _field(path, _load(path), "segGroups", list):
        object_id = _field(path, entry, "objectId", int)
        if not 0 <= object_id < 2**31 - 1:
            raise BadInput(path, f"has an objectId of {object_id}", DOWNLOAD)
        segments = _integers(path, _field(path, entry, "segments", list), "segments")
        groups.append(Group(object_id, segments, _field(path, entry, "label", str).strip()))
    return groups


def group_of_vertices(segments: NDArray[np.int32], groups: list[Group]) -> NDArray[np.int32]:
    """Index of the group of each vertex, (V,), -1 for none.

    A superpoint keeps the first group that claims it: scene0217_00 lists its groups twice.
    """
    ids, vertex_to_id = np.unique(segments, return_inverse=True)
    group_of_id = np.full(len(ids), -1, np.int32)
    for index, group in enumerate(groups):
        claimed = np.isin(ids, group.segments) & (group_of_id < 0)
        group_of_id[claimed] = index
    return group_of_id[vertex_to_id]


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", DOWNLOAD) from None
    except (ValueError, RecursionError):
        raise BadInput(path, "is not a complete JSON file", DOWNLOAD) from None


def _field(path: Path, entry: Any, name: str, kind: type) -> Any:
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, kind):
        raise BadInput(path, f'lacks a proper "{name}"', DOWNLOAD)
    return value


def _integers(path: Path, values: list[Any], name: str) -> NDArray[np.int32]:
    valid = all(type(value) is int and 0 <= value < 2**31 for value in values)
    if not valid:
        raise BadInput(path, f'has values that are not indices in "{name}"', DOWNLOAD)
    return np.array(values, np.int32)
