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

UNANNOTATED = 0  # in NYU40 and in the label map
NEEDED = {"mesh", "segments", "aggregation"}  # and the label mesh or the label map


def read_labels(files: Mapping[str, Path], classes: Sequence[Mapping[str, Any]]) -> Labels:
    """Read the group "labels" of `pipeline.readers.scannet.files.scan_files`.

    `classes` are in the order of the label index, each with its "nyu40" id. The ids come from
    the label mesh ("labels_mesh"), or, in copies of the release without one, from the raw category
    of each object through the label map ("label_map"). Classes with a "label_id" instead, such as
    those of ScanNet200, are known by the `id` of a raw category in the label map alone. Ids without
    a class are ignored (-1): unannotated vertices (0), other categories, and the stray NYU40 ids 50
    and 149 of an old label map. Raises `BadInput`, also where the label mesh is not the mesh of the
    cloud, and for classes without an id or with the id of another class.
    """
    kind = "label_id" if any("label_id" in each for each in classes) else "nyu40"
    _check_ids(classes, kind)
    if not (files.keys() >= NEEDED and files.keys() & {"labels_mesh", "label_map"}):
        where = files["mesh"].parent if "mesh" in files else "labels"
        raise BadInput(where, "lacks the files of the dense labels", "download them")
    vertices, _ = read_mesh(files["mesh"])
    groups = read_groups(files["aggregation"])
    segments = read_segments(files["segments"], len(vertices))
    group_of_vertex = group_of_vertices(segments, groups)
    if kind == "nyu40" and "labels_mesh" in files:
        ids = _ids_of_label_mesh(files["labels_mesh"], vertices)
    else:
        if "label_map" not in files:
            what = "is read for classes that only the label map knows, which is not there"
            raise BadInput(files["mesh"].parent, what, "download it (--label_map)")
        ids = _ids_of_groups(files["label_map"], kind, groups, group_of_vertex)
    class_of_id = np.full(2**16, -1, np.int16)  # one entry for every id that the mesh can contain
    for index, each in enumerate(classes):
        class_of_id[int(each[kind])] = index
    instance_of_group = np.array([group.object_id + 1 for group in groups] + [0], np.int32)
    return Labels(label=class_of_id[ids], instance=instance_of_group[group_of_vertex])


def read_label_map(path: Path, column: str = "nyu40id") -> dict[str, int]:
    """The NYU40 id of each raw category in `scannetv2-labels.combined.tsv`, or its own, `id`.

    Raises `BadInput`.
    """
    remedy = "download it again (--label_map)"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rows = csv.DictReader(filter(None, lines), delimiter="\t", quoting=csv.QUOTE_NONE)
        label_map = {row["raw_category"].strip(): int(row[column]) for row in rows}
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", remedy) from None
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error):
        raise BadInput(path, "is not ScanNet's label map", remedy) from None
    if not all(0 <= each < 2**16 for each in label_map.values()):
        raise BadInput(path, f"has values of {column} beyond 65535", remedy)
    return label_map


def _check_ids(classes: Sequence[Mapping[str, Any]], kind: str) -> None:
    owner: dict[int, str] = {}
    spoken = f"{kind.removesuffix('_id')} id"
    for each in classes:
        if kind not in each:
            what = f"{each['name']} has no {spoken}, which ScanNet's labels need"
            raise BadInput("classes", what, "fill in that column")
        other = owner.setdefault(int(each[kind]), each["name"])
        if other != each["name"]:
            what = f"{other} and {each['name']} have the same {spoken}"
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
    label_map_path: Path, kind: str, groups: list[Group], group_of_vertex: NDArray[np.int32]
) -> NDArray[np.uint16]:
    label_map = read_label_map(label_map_path, {"nyu40": "nyu40id", "label_id": "id"}[kind])
    ids = [label_map.get(group.raw_category, UNANNOTATED) for group in groups]
    return np.array([*ids, UNANNOTATED], np.uint16)[group_of_vertex]
