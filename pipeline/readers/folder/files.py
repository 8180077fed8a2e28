"""Which files make up a scan that is a folder of RGB-D frames: `raw/<scan>`.

The layout is recognised from the names of the files. They may lie one folder further down, as
archives unpack them (`EXR_RGBD`, `seq-01`).
"""

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.readers.folder.layouts import LAYOUTS, recognise
from pipeline.readers.folder.seven_scenes import INTRINSICS

SCAN_NAME = re.compile(r"[A-Za-z0-9_-]+")
CLOUD = "cloud"  # of the files of a group: the PLY file
_DEPTH = 3  # folders below that of the scan in which files are looked for

PROTOCOL = "scannet_official"
HAS_LABELS = False
SIMULATOR: str | None = None

Group = dict[str, Path]


def scan_files(raw: Path, scan: str) -> dict[str, Group]:
    """The files of one scan, in the groups "frames", "cloud" and "labels".

    frames: the layout's files by their path in its folder. cloud: the same, which tell where up is
    or from which the cloud is fused, and "cloud", the PLY file where there is one. labels: empty.
    Raises `BadInput` where there is no such folder, or none or several of a known layout in it.
    """
    folder = scan_folder(raw, scan)
    names = _listing(folder)
    found: dict[str, Group] = {}
    for base in _bases(names):
        inside = {n.removeprefix(base): path for n, path in names.items() if n.startswith(base)}
        for outer in (folder, raw):  # 3DMatch has its intrinsics beside its sequences
            if (outer / INTRINSICS).is_file():
                inside.setdefault(INTRINSICS, outer / INTRINSICS)
        if recognised := recognise(inside):
            found[base] = recognised[1]
            if base == "":
                break
    if not found:
        layouts = "; ".join(layout.NAME for layout in LAYOUTS)
        what = f"holds {_summary(names)}, which is no layout that is known"
        raise BadInput(folder, what, f"bring it into one of these: {layouts}")
    if len(found) > 1:
        what = f"holds several recordings, in {', '.join(sorted(found))}"
        raise BadInput(folder, what, "make each a scan, a folder of its own")
    base, frames = found.popitem()
    cloud = _cloud(names, base, folder)
    return {"frames": frames, "cloud": {**frames, **cloud}, "labels": {}}


def check(raw: Path, scan: str, split: str, labels: bool = True) -> None:
    """Raise `BadInput`, a sentence that says what is wrong where, unless a folder can be read.

    Folders have no labels: `labels=True` is refused but for the split "test".
    """
    scan_files(raw, scan)
    if labels and split != "test":
        remedy = "set `tags: {source: none}`, or name its classes in a file"
        raise BadInput(raw / scan, "has no dense labels", remedy)


def scan_folder(raw: Path, scan: str) -> Path:
    """The folder of one scan. Raises `BadInput` where there is none."""
    if not SCAN_NAME.fullmatch(scan):
        raise BadInput(repr(scan), "is no scan name", "use letters, digits, _ and -")
    if not (raw / scan).is_dir():
        raise BadInput(raw, f"has no folder {scan}", "set `raw` to the folder that holds the scans")
    return raw / scan


def _listing(folder: Path) -> Group:
    """All files of a folder by their path in it, in a fixed order; hidden ones left out."""
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


def _bases(names: Mapping[str, Path]) -> list[str]:
    """Where a layout may begin: the folder itself, and the folders in it."""
    return ["", *sorted({f"{n.partition('/')[0]}/" for n in names if "/" in n})]


def _cloud(names: Mapping[str, Path], base: str, folder: Path) -> Group:
    """The PLY file in the scan's folder or beside the frames. Raises `BadInput` for several."""
    clouds = [
        n for n in names if n.lower().endswith(".ply") and n.rpartition("/")[0] + "/" in ("/", base)
    ]
    own = [name for name in clouds if Path(name).stem == folder.name]
    if len(clouds) > 1 and len(own) != 1:
        what = f"holds the PLY files {', '.join(clouds)}"
        raise BadInput(folder, what, f"leave one of them, or call it {folder.name}.ply")
    chosen = own or clouds
    return {CLOUD: names[chosen[0]]} if chosen else {}


def _summary(names: Mapping[str, Path]) -> str:
    """What a folder holds, in a few words: "color/ (40 .jpg), a.txt"."""
    inside = Counter((n.partition("/")[0], Path(n).suffix or "nameless") for n in names if "/" in n)
    parts = [f"{place}/ ({count} {kind})" for (place, kind), count in sorted(inside.items())]
    parts += [name for name in names if "/" not in name]
    return ", ".join(parts[:8]) + (f" and {len(parts) - 8} more" if len(parts) > 8 else "") or (
        "no file"
    )
