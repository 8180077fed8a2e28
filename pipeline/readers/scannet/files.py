"""The files of a ScanNet scan, and where they are in a download."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import BadInput
from pipeline.readers.scannet.exported import exported_names

SCAN_NAME = re.compile(r"scene[0-9]{4}_[0-9]{2}")
LABEL_MAP = "scannetv2-labels.combined.tsv"
HOW_TO_GET = "data_manifest/scannet/README.md says how to get ScanNet"

KIND = "a scan of ScanNet"
HAS_LABELS = True
PROTOCOL = "scannet_official"
SIMULATOR = "pipeline.simulate.scan"
POINTS_ONLY = "pipeline.readers.scannet.points"

_PARENTS = ("scans", "scans_test")  # of the scans in the official tree


Group = dict[str, Path]


def scan_files(raw: Path, scan: str) -> dict[str, Group]:
    """The files of one scan that exist, in the groups "frames", "cloud" and "labels".

    frames: "sens", or else the exported files by their path in the scan's folder.
    cloud: "mesh" and, except for test scans, "segments".
    labels: the input of `read_labels` ("mesh", "segments", "aggregation", and those of
    "labels_mesh" and "label_map" that there are, at least one); empty where the scan has no labels.
    Raises `BadInput` where the scan's name is malformed or its folder does not exist.
    """
    folder = scan_folder(raw, scan)
    present = {
        name: folder / file for name, file in _names(scan).items() if (folder / file).is_file()
    }
    frames = {"sens": present["sens"]} if "sens" in present else exported_names(folder)
    cloud: Group = {name: present[name] for name in ("mesh", "segments") if name in present}
    if (raw / LABEL_MAP).is_file():
        present["label_map"] = raw / LABEL_MAP
    annotation, sources = ("mesh", "segments", "aggregation"), ("labels_mesh", "label_map")
    labels: Group = {n: present[n] for n in (*annotation, *sources) if n in present}
    if not (labels.keys() >= {*annotation} and labels.keys() & {*sources}):
        labels = {}
    return {"frames": frames, "cloud": cloud, "labels": labels}


def check(raw: Path, scan: str, split: str, labels: bool = True) -> None:
    """Raise `BadInput` that lists the missing files unless the scan is complete.

    A scan of the split "test" needs frames and mesh only; `labels=False` is for training scans
    whose scene tags come from a file.
    """
    files = scan_files(raw, scan)
    folder = scan_folder(raw, scan)
    names = _names(scan)
    missing = []
    if not files["frames"]:
        missing.append(f"{names['sens']} (or the exported color, depth, pose and intrinsic)")
    needed = ["mesh"] if split == "test" else ["mesh", "segments"]
    missing += [names[name] for name in needed if name not in files["cloud"]]
    if labels and split != "test" and not files["labels"]:
        wanted = [names["aggregation"], names["labels_mesh"]]
        missing += [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise BadInput(folder, f"lacks {', '.join(missing)}", HOW_TO_GET)


def check_classes(raw: Path, classes: Sequence[Mapping[str, Any]]) -> None:
    """Raise `BadInput` where labels of these classes need the label map and there is none."""
    if any("label_id" in each for each in classes) and not (raw / LABEL_MAP).is_file():
        what = f"lacks {LABEL_MAP}, by which the ids of these classes are known"
        raise BadInput(raw, what, HOW_TO_GET)


def recognise(path: Path) -> tuple[Path, str] | None:
    """The root and the name of the scan in the folder `path`, known by its mesh; None for none."""
    if not (path / _names(path.name)["mesh"]).is_file():
        return None
    return (path.parent.parent if path.parent.name in _PARENTS else path.parent), path.name


def scan_folder(raw: Path, scan: str) -> Path:
    """The folder of one scan: in the official tree, or else directly in `raw`.

    Raises `BadInput` where there is none.
    """
    if not SCAN_NAME.fullmatch(scan):
        raise BadInput(repr(scan), "is not the name of a ScanNet scan", "write it as scene0000_00")
    if not raw.is_dir():
        raise BadInput(raw, "is not a folder", f"set `raw` to a ScanNet download ({HOW_TO_GET})")
    for parent in (*_PARENTS, ""):
        if (raw / parent / scan).is_dir():
            return raw / parent / scan
    raise BadInput(raw, f"has no folder scans/{scan} or scans_test/{scan}", HOW_TO_GET)


def _names(scan: str) -> dict[str, str]:
    return {
        "sens": f"{scan}.sens",
        "mesh": f"{scan}_vh_clean_2.ply",
        "segments": f"{scan}_vh_clean_2.0.010000.segs.json",
        "labels_mesh": f"{scan}_vh_clean_2.labels.ply",
        "aggregation": f"{scan}.aggregation.json",
    }
