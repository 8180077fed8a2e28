"""The files of a room of S3DIS, and where they are in the downloads.

`raw` contains, as unpacked, `Area_1` to `Area_6` of S3DIS and `area_1` to `area_6` of 2D-3D-S,
directly or one folder further down (`raw/Stanford3dDataset_v1.2/Area_1`). A room is named by its
area and its folder: Area_1_office_1.
"""

import os
import re
from functools import lru_cache
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.readers.s3dis.objects import require_all, texts
from pipeline.readers.s3dis.point_text import is_aligned

SCAN_NAME = re.compile(r"Area_([1-6])_([A-Za-z]+_[0-9]+)")
IMAGE = re.compile(
    r"camera_[0-9a-f]{32}_([A-Za-z]+_[0-9]+)_frame_[0-9]+_domain_(?:rgb|depth|pose)\.(?:png|json)"
)
KINDS = ("rgb", "depth", "pose")
PARTS = {"5": ("area_5a", "area_5b")}  # the area of 2D-3D-S that comes in two parts
HOW_TO_GET = "data_manifest/s3dis/README.md says how to get S3DIS and 2D-3D-S"

KIND = "a room of S3DIS"
HAS_LABELS = True
PROTOCOL = "s3dis"
SIMULATOR = "pipeline.simulate.s3dis_scan"
POINTS_ONLY = "pipeline.readers.s3dis.points"

Group = dict[str, Path]


def scan_files(raw: Path, scan: str) -> dict[str, Group]:
    """The files of one room that exist, in the groups "frames", "cloud" and "labels".

    frames: the images and poses, named "<area>/<kind>/<file>"; of both parts of Area_5.
    cloud: the annotated objects "Annotations/<class>_<number>.txt", or without any the complete
    "room"; and "angles" where the room is of the aligned release.
    labels: the annotated objects again; empty without any.
    Raises `BadInput` where the room's name is malformed, it has no folder, its text is of neither
    release, or an object would be left out.
    """
    folder = room_folder(raw, scan)
    area, room = _parts(scan)
    require_all(folder / "Annotations")
    objects = {f"Annotations/{path.name}": path for path in texts(folder / "Annotations")}
    rooms = sorted(texts(folder), key=lambda path: path.stem != room)  # its own name is first
    cloud: Group = dict(objects or [("room", path) for path in rooms[:1]])
    angles = folder.parent / f"Area_{area}_alignmentAngle.txt"
    if cloud and angles.is_file() and is_aligned(next(iter(cloud.values()))):
        cloud["angles"] = angles
    return {"frames": _images(raw, area, room), "cloud": cloud, "labels": objects}


def check(raw: Path, scan: str, split: str, labels: bool = True) -> None:
    """Raise `BadInput` that lists the missing files unless the room is complete.

    `split` is ignored: every room is released with its labels. `labels=False` is for rooms whose
    scene tags come from a file.
    """
    files = scan_files(raw, scan)
    folder = room_folder(raw, scan)
    area, room = _parts(scan)
    missing = []
    if not files["cloud"] or (labels and not files["labels"]):
        missing.append("Annotations/*.txt")
    elif "angles" not in files["cloud"] and is_aligned(next(iter(files["cloud"].values()))):
        missing.append(
            f"../Area_{area}_alignmentAngle.txt (the aligned release has none: "
            "copy it there from Stanford3dDataset_v1.2.zip, or use that release)"
        )
    if not files["frames"]:
        wanted = " or ".join(image_areas(area))
        missing.append(f"its images camera_*_{room}_frame_*.png of 2D-3D-S ({wanted}/data)")
    if missing:
        raise BadInput(folder, f"lacks {', '.join(missing)}", HOW_TO_GET)


def room_folder(raw: Path, scan: str) -> Path:
    """The folder of one room; with both releases in `raw`, that of the one that is not aligned,
    unless it alone has no objects.

    Raises `BadInput` where there is none.
    """
    area, room = _parts(scan)
    if not raw.is_dir():
        raise BadInput(raw, "is not a folder", f"set `raw` to the downloads ({HOW_TO_GET})")
    found = [path / room for path in _areas(raw, f"Area_{area}") if (path / room).is_dir()]
    of_each = {path: texts(path / "Annotations")[:1] for path in found}
    found.sort(key=lambda path: (not of_each[path], any(map(is_aligned, of_each[path]))))
    if not found:
        raise BadInput(raw, f"has no folder Area_{area}/{room}", HOW_TO_GET)
    return found[0]


def recognise(path: Path) -> tuple[Path, str] | None:
    """The root and the name of the room in the folder `path`, known by their names; None for none.

    The root is the folder of the area's folder, or one above where the images are only below that.
    """
    scan = f"{path.parent.name}_{path.name}"
    if not SCAN_NAME.fullmatch(scan):
        return None
    roots = path.parents[1:3]
    raw = next((root for root in roots if scan_files(root, scan)["frames"]), roots[0])
    return raw, scan


def image_areas(area: str) -> tuple[str, ...]:
    """The folders of 2D-3D-S that can contain images of an area's rooms."""
    return PARTS.get(area, (f"area_{area}",))


def _parts(scan: str) -> tuple[str, str]:
    match = SCAN_NAME.fullmatch(scan)
    if match is None:
        raise BadInput(repr(scan), "is not the name of a room", "write it as Area_1_office_1")
    return match[1], match[2]


def _areas(raw: Path, name: str) -> list[Path]:
    """The folders of exactly that name, also on file systems that ignore case."""
    places = [raw, *sorted(path for path in raw.iterdir() if path.is_dir())]
    return [place / name for place in places if name in os.listdir(place)]


def _images(raw: Path, area: str, room: str) -> Group:
    found: Group = {}
    for name in image_areas(area):
        for place in _areas(raw, name):
            for kind in KINDS:
                folder = place / "data" / kind
                if folder.is_dir():
                    files = _by_room(folder, folder.stat().st_mtime_ns).get(room, ())
                    found |= {f"{name}/{kind}/{file}": folder / file for file in files}
    return found


@lru_cache(maxsize=64)
def _by_room(folder: Path, _changed: int) -> dict[str, list[str]]:
    """The files of a folder by room: it contains those of an area, and is listed only once."""
    rooms: dict[str, list[str]] = {}
    for file in sorted(os.listdir(folder)):
        if match := IMAGE.fullmatch(file):
            rooms.setdefault(match[1], []).append(file)
    return rooms
