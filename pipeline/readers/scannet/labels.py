"""The dense ground truth of a ScanNet scan: a class and an instance for each vertex."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.readers.scannet.annotations import (
    Group,
    group_of_vertices,
    read_groups,
    read_segments,
)
from pipeline.readers.scannet.ply import read_mesh, xyz_of
from pipeline.scan import Labels

UNANNOTATED = 0  # NYU40 id
NEEDED = {"mesh", "segments", "aggregation"}  # and the label mesh or the label map


def read_labels(files: Mapping[str, Path], classes: Sequence[Mapping[str, Any]]) -> Labels:
    """Read the group "labels" of `pipeline.readers.scannet.files.scan_files`.

    `classes` are in the order of the label index, each with its "nyu40" id. The ids come from
    the label mesh ("labels_mesh"), or, in copies of the release without one, from the raw category
    of each object through the label map ("label_map"). Ids without a class are ignored (-1):
    unannotated vertices (0), other NYU40 classes, and the stray 50 and 149 of an old label map.
    Raises `BadInput`, also where the label mesh is not the mesh of the cloud, and for classes
    without an id or with the id of another class.
    """
    _check_ids(classes)
    if not (files.keys() >= NEEDED and files.keys() & {"labels_mesh", "label_map"}):
        where = files["mesh"].parent if "mesh" in files else "labels"
        raise BadInput(where, "lacks the files of the dense labels", "download them")
    vertices, _ = read_mesh(files["mesh"])
    groups = read_groups(files["aggregation"])
    segments = read_segments(files["segments"], len(vertices))
    group_of_vertex = group_of_vertices(segments, groups)
    if "labels_mesh" in files:
        nyu40 = _ids_of_label_mesh(files["labels_mesh"], vertices)
    else:
        nyu40 = _ids_of_groups(files["label_map"], groups, group_of_vertex)
    class_of_id = np.full(2**16, -1, np.int16)  # one entry for every id that the mesh can contain
    for index, each in enumerate(classes):
        class_of_id[int(each["nyu40"])] = index
    instance_of_group = np.array([group.object_id + 1 for group in groups] + [0], np.int32)
    return Labels(label=class_of_id[nyu40], instance=instance_of_group[group_of_vertex])


def read_label_map(path: Path) -> dict[str, int]:
    """NYU40 id of each raw category in `scannetv2-labels.combined.tsv`. Raises `BadInput`."""
    remedy = "download it again (--label_map)"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rows = csv.DictReader(filter(None, lines), delimiter="\t", quoting=csv.QUOTE_NONE)
        label_map = {row["raw_category"].strip(): int(row["nyu40id"]) for row in rows}
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", remedy) from None
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error):
        raise BadInput(path, "is not ScanNet's label map", remedy) from None
    if not all(0 <= nyu40 < 2**16 for nyu40 in label_map.values()):
        raise BadInput(path, "has NYU40 ids beyond 65535", remedy)
    return label_map


def _check_ids(classes: Sequence[Mapping[str, Any]]) -> None:
    owner: dict[int, str] = {}
    for each in classes:
        if "nyu40" not in each:
            what = f"{each['name']} has no nyu40 id, which ScanNet's labels need"
            raise BadInput("classes", what, "fill in that column")
        other = owner.setdefault(int(each["nyu40"]), each["name"])
        if other != each["name"]:
            what = f"{other} and {each['name']} have the same nyu40 id"
            raise BadInput("classes", what, "give each its own")


def _ids_of_label_mesh(path: Path, vertices: NDArray[np.void]) -> NDArray[np.uint16]:
    labelled, _ = read_mesh(path)
    remedy = "use both meshes of the same release"
    if len(labelled) != len(vertices):
        raise BadInput(
            path, f"labels {len(labelled)} vertices of a mesh of {len(vertices)}", remedy
        )
    if ("label", "<u2") not in labelled.dtype.descr:
        raise BadInput(path, "has no label (ushort) for its vertices", remedy)
    if not np.array_equal(xyz_of(labelled), xyz_of(vertices)):
        raise BadInput(path, "has its vertices elsewhere than the mesh", remedy)
    return labelled["label"]


def _ids_of_groups(
    label_map_path: Path, groups: list[Group], group_of_vertex: NDArray[np.int32]
) -> NDArray[np.uint16]:
    label_map = read_label_map(label_map_path)
    ids = [label_map.get(group.raw_category, UNANNOTATED) for group in groups]
    return np.array([*ids, UNANNOTATED], np.uint16)[group_of_vertex]
