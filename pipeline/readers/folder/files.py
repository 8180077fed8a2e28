"""The files of a scan that is a folder of RGB-D frames: `raw/<scan>`.

The layout is recognised by the names of the files. They may be one or two folders further down, as
archives unpack them (`EXR_RGBD`, `seq-01`).
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.readers.folder.layouts import LAYOUTS, OUTER, find_layout, lacking, titles
from pipeline.readers.folder.values import read_text

SCAN_NAME = re.compile(r"[A-Za-z0-9_-]+")
CLOUD = "cloud"  # the name of the PLY file in its group
TAGS = "tags.txt"  # in the folder of a scan: its scene tags

KIND = "frames"
HAS_LABELS = False
PROTOCOL = None
SIMULATOR = None
IS_FALLBACK = True  # any folder may be one of frames

_DEPTH = 3  # levels of folders that are searched for files
_SPARSE = ("sparse_pc.ply", "points3D.ply")  # nerfstudio's and COLMAP's: no surface


Group = dict[str, Path]


def scan_files(raw: Path, scan: str) -> dict[str, Group]:
    """The files of one scan, in the groups "frames", "cloud" and "labels".

    frames: the layout's files by their path in its folder. cloud: the same, which show which way
    is up or from which the cloud is fused, and "cloud", the PLY file if there is one. labels:
    empty. Raises `BadInput` where there is no such folder, or it contains no recording of a known
    layout, or several.
    """
    folder = scan_folder(raw, scan)
    names = _listing(folder)
    found: dict[str, Group] = {}
    for level in range(_DEPTH):
        for base in _bases(names, level):
            inside = {n.removeprefix(base): path for n, path in names.items() if n.startswith(base)}
            for outer in (folder, raw):  # 3DMatch has its intrinsics beside its sequences
                inside |= {n: outer / n for n in OUTER if n not in inside and (outer / n).is_file()}
            if layout := find_layout(inside):
                found[base] = layout[1]
        if found:
            break
    if not found:
        raise BadInput(folder, *_unknown(names))
    if len(found) > 1:
        what = f"contains several recordings, in {', '.join(sorted(found))}"
        raise BadInput(folder, what, "make each a scan with its own folder")
    base, frames = found.popitem()
    cloud = _cloud(names, base, folder)
    return {"frames": frames, "cloud": {**frames, **cloud}, "labels": {}}


def check(raw: Path, scan: str, split: str, labels: bool = True) -> None:
    """Raise `BadInput` unless the folder can be read.

    Folders have no labels: `labels=True` is refused except for the split "test".
    """
    scan_files(raw, scan)
    if labels and split != "test":
        remedy = "set `tags: {source: none}`, or list its classes in a file"
        raise BadInput(raw / scan, "has no dense labels", remedy)


def recognise(path: Path) -> tuple[Path, str] | None:
    """The root and the name of the scan in the folder `path`; None where `path` is not a folder."""
    return (path.parent, path.name) if path.is_dir() else None


def find_scans(raw: Path) -> tuple[list[str], list[str]]:
    """The scans in the folder `raw` by name, and a sentence about each folder that is not one."""
    found, faults = [], []
    folders = raw.iterdir() if raw.is_dir() else ()
    for scan in sorted(f.name for f in folders if f.is_dir() and not f.name.startswith(".")):
        try:
            check(raw, scan, "train", labels=False)
            found.append(scan)
        except BadInput as error:
            faults.append(str(error))
    return found, faults


def read_own_tags(raw: Path, scans: Iterable[str], classes: Sequence[str]) -> dict[str, list[str]]:
    """Scan -> the classes in its `tags.txt`, for the scans that have one.

    Each class is on its own line, or between two `|`. Raises `BadInput` for a name that is not in
    `classes`.
    """
    tags = {}
    for scan in scans:
        path = raw / scan / TAGS
        if not path.is_file():
            continue
        lines = read_text(path).replace("|", "\n").splitlines()
        names = [line.strip() for line in lines if line.strip()]
        unknown = [name for name in names if name not in classes]
        if unknown or not names:
            what = f"has the unknown class {unknown[0]!r}" if unknown else "names no class"
            raise BadInput(path, what, f"use names like {', '.join(classes[:3])}, or remove it")
        tags[scan] = names
    return tags


def scan_folder(raw: Path, scan: str) -> Path:
    """The folder of one scan. Raises `BadInput` where there is none."""
    if not SCAN_NAME.fullmatch(scan):
        raise BadInput(repr(scan), "is not a scan name", "use letters, digits, _ and -")
    if not (raw / scan).is_dir():
        raise BadInput(raw, f"has no folder {scan}", "set `raw` to the folder of the scans")
    return raw / scan


def _unknown(names: Mapping[str, Path]) -> tuple[str, str]:
    """What is wrong with a folder of no known layout, and what to do."""
    what = f"contains {_summary(names)}, which is not a known layout"
    bases = [base for level in range(_DEPTH) for base in _bases(names, level)]
    inside = [[n.removeprefix(base) for n in names if n.startswith(base)] for base in bases]
    near = [found for each in inside if (found := lacking(each))]
    if not near:
        return what, f"bring it into one of these: {'; '.join(each.NAME for each in LAYOUTS)}"
    _, name, missing = max(near, key=lambda each: each[0])
    what = f"{what}: for {name!r} it lacks {' and '.join(missing)}"
    return what, f"add that, or bring it into another layout that is read: {titles()}"


def _listing(folder: Path) -> Group:
    """All files of a folder by their path in it, in a fixed order, without hidden ones."""
    found: Group = {}
    for place, folders, files in os.walk(folder, followlinks=True):
        inside = Path(place).relative_to(folder)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        if len(inside.parts) >= _DEPTH:
            folders.clear()
        for file in sorted(files):
            if not file.startswith("."):
                found[(inside / file).as_posix()] = Path(place, file)
    return found


def _bases(names: Iterable[str], level: int) -> list[str]:
    """Where a layout may begin: in the folder itself, or `level` folders further down."""
    folders = [name.split("/")[:-1] for name in names]
    return sorted({"/".join([*each[:level], ""]) for each in folders if len(each) >= level})


def _cloud(names: Mapping[str, Path], base: str, folder: Path) -> Group:
    """The PLY file in the scan's folder or beside the frames. Raises `BadInput` for several."""
    clouds = [
        n
        for n in names
        if n.lower().endswith(".ply") and n.rpartition("/")[0] + "/" in ("/", base)
        if Path(n).name not in _SPARSE
    ]
    own = [name for name in clouds if Path(name).stem == folder.name]
    if len(clouds) > 1 and len(own) != 1:
        what = f"contains the PLY files {', '.join(clouds)}"
        raise BadInput(folder, what, f"keep one of them, or name it {folder.name}.ply")
    chosen = own or clouds
    return {CLOUD: names[chosen[0]]} if chosen else {}


def _summary(names: Mapping[str, Path]) -> str:
    """The content of a folder in a few words: "color/ (40 .jpg), a.txt"."""
    inside = Counter((n.partition("/")[0], Path(n).suffix or "nameless") for n in names if "/" in n)
    parts = [f"{place}/ ({count} {kind})" for (place, kind), count in sorted(inside.items())]
    parts += [name for name in names if "/" not in name]
    return ", ".join(parts[:8]) + (f" and {len(parts) - 8} more" if len(parts) > 8 else "") or (
        "no file"
    )
