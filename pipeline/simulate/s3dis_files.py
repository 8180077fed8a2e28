"""Write a simulated room in the files of S3DIS and 2D-3D-S.

The module takes plain arrays and does not depend on the simulation.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.readers.s3dis.alignment import AREA_5B_TO_5A, turned
from pipeline.simulate.s3dis_images import View, write_view
from pipeline.simulate.s3dis_text import ALIGNED, NOT_ALIGNED, add_angles, damage, write_points


@dataclass(frozen=True, eq=False)
class SimulatedRoom:
    """The content of the files of one room, in coordinates of its area (of area_5a in Area_5)."""

    area: str  # "1" to "6"
    room: str  # office_1
    xyz: NDArray[np.float64]  # (N, 3) metres
    rgb: NDArray[np.uint8]  # (N, 3)
    object_id: NDArray[np.integer]  # (N,) index into `objects`
    objects: Sequence[str]  # class of each; any name, not only classes of the dataset
    views: Iterable[View] = field(default=())  # iterated once
    angle: int = 0  # degrees, a multiple of 90, by which the aligned release rotates the room back


def write_room(
    raw: Path,
    room: SimulatedRoom,
    releases: Sequence[str] = (NOT_ALIGNED,),
    images: str | None = None,
    damaged: bool = False,
) -> None:
    """Write the room into `raw/<release>/Area_N/` and its views into `raw/<area>/data/`.

    `images` is their part of 2D-3D-S (by default area_N, area_5a): "area_5b" writes their poses in
    the coordinates of that part. The area's file of angles is written beside the rooms of both
    releases, as a user has to copy it. `damaged` adds the known faults to the text.
    """
    for release in releases:
        folder = raw / release / f"Area_{room.area}" / room.room
        (folder / "Annotations").mkdir(parents=True, exist_ok=True)
        xyz = turned(room.xyz, -room.angle) if release == ALIGNED else room.xyz
        _write_text(folder, release, replace(room, xyz=xyz), damaged)
        add_angles(folder.parent, {room.room: str(room.angle)})
    area = images or f"area_{room.area}{'a' if room.area == '5' else ''}"
    to_part = np.linalg.inv(AREA_5B_TO_5A) if area == "area_5b" else np.eye(4)
    for view in room.views:
        moved = replace(view, camera_to_world=to_part @ view.camera_to_world)
        write_view(raw / area / "data", room.area, room.room, moved)


def _write_text(folder: Path, release: str, room: SimulatedRoom, damaged: bool) -> None:
    """The room file, its objects numbered by class, and the stray files of the releases."""
    write_points(folder / f"{folder.name}.txt", release, room.xyz, room.rgb)
    numbers: dict[str, int] = {}
    paths = []
    for index, name in enumerate(room.objects):
        mine = room.object_id == index
        if not mine.any():
            continue
        numbers[name] = numbers.get(name, 0) + 1
        paths.append(folder / "Annotations" / f"{name}_{numbers[name]}.txt")
        write_points(paths[-1], release, room.xyz[mine], room.rgb[mine])
    (folder / "Annotations" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    copied = paths[-1]
    copied.with_name(f"{copied.stem} (1).txt").write_bytes(copied.read_bytes())
    if damaged:
        largest = max(paths, key=lambda path: path.stat().st_size)
        for path in (largest, folder / f"{folder.name}.txt"):
            damage(path, release)
