"""One text file with the poses of all images: matrices, or TUM's lines of times."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder.conventions import pose_from
from pipeline.readers.folder.pairing import numbers_in
from pipeline.readers.folder.times import MAX_GAP, in_seconds, nearest, seconds_of
from pipeline.readers.folder.values import FIX, Array, numbers, pose_of, read_text

_POSES = {  # values in a line -> what follows the first
    8: "a position and a quaternion",
    13: "a matrix of 3 x 4",
    17: "a matrix of 4 x 4",
}


def poses_of_images(images: Mapping[int, Path], where: Path) -> dict[int, Array]:
    """Frame -> camera to world (4, 4), from the lines of the file `where`.

    `images` are the colour images by frame. Lines of 8, 13 or 17 numbers are a time (or the number
    of an image) and a position and a quaternion x, y, z, w, or a matrix; where no line is near in
    time, the pose is NaN. Other matrices have 16 or 12 numbers in a line, or one row in a line, and
    are in the order of the numbers of the images. Raises `BadInput` where it is not certain which
    pose belongs to which.
    """
    lines = [line.replace(",", " ").split() for line in read_text(where).splitlines()]
    rows = [line for line in lines if line and not line[0].startswith("#")]
    width = len(rows[0]) if rows else 0
    if width in _POSES:
        return _numbered(images, rows, where)
    if width == 4:
        rows = _unstacked(rows, where)
    elif width not in (12, 16):
        what = f"has {width} values in its first line"
        raise BadInput(where, what, "write a pose a line, as 16 or 12 numbers, row by row")
    what = f"a pose of {len(rows[0])} numbers in each line"
    values = [numbers(row, (len(rows[0]),), where, what) for row in rows]
    first = _number_of_first(images, len(rows), where)
    return {i: pose_from(values[i - first].reshape(-1, 4)) for i in images}


def _numbered(images: Mapping[int, Path], rows: list[list[str]], where: Path) -> dict[int, Array]:
    width = len(rows[0])
    what = f"a time or number, and {_POSES[width]}, per line"
    values = np.stack([numbers(row, (width,), where, what) for row in rows])
    poses = [
        pose_of(row[4:], row[1:4]) if width == 8 else pose_from(row[1:].reshape(-1, 4))
        for row in values
    ]
    by_number = dict(zip(values[:, 0].tolist(), poses, strict=True))
    if len(by_number) < len(poses):
        raise BadInput(where, "has a time or number that stands twice", FIX)
    if all(i in by_number and i in numbers_in(path.name) for i, path in images.items()):
        return {i: by_number[i] for i in images}
    times = [seconds_of(path.stem) for path in images.values()]
    known = np.array([time for time in times if time is not None])
    if len(known) == len(images):
        of_pose, near = nearest(np.array([in_seconds(time) for time in values[:, 0]]), known)
        if near.any():
            lost = np.full((4, 4), np.nan)
            found = zip(images, of_pose.tolist(), near.tolist(), strict=True)
            return {i: poses[row] if is_near else lost for i, row, is_near in found}
    what = (
        f"begins its lines with neither the numbers nor (within {1000 * MAX_GAP:.0f} ms) the times"
    )
    raise BadInput(where, f"{what} in the names of the images", FIX)


def _unstacked(rows: list[list[str]], where: Path) -> list[list[str]]:
    """The rows of matrices of 4 x 4 or 3 x 4, one below the other, as a matrix in each row."""
    last = [_is_last_row(row) for row in rows]
    tall = 4 if any(last) else 3
    if len(rows) % tall or any(is_last and i % 4 != 3 for i, is_last in enumerate(last)):
        raise BadInput(where, f"has {len(rows)} lines of four numbers, no stacked poses", FIX)
    return [list(chain(*rows[i : i + tall])) for i in range(0, len(rows), tall)]


def _is_last_row(row: list[str]) -> bool:
    try:
        return [float(word) for word in row] == [0, 0, 0, 1]
    except ValueError:
        return False


def _number_of_first(images: Mapping[int, Path], count: int, where: Path) -> int:
    """The number of the image that the first pose belongs to, 0 or 1."""
    ids = list(images)
    if all(i in numbers_in(path.name) for i, path in images.items()):
        if ids[0] == 0 and ids[-1] < count:
            return 0
        if ids[0] == 1 and ids[-1] == count == len(ids):
            return 1
    names = f"{next(iter(images.values())).name} to {list(images.values())[-1].name}"
    what = f"has {count} poses for {len(ids)} images with the names {names}"
    remedy = "number the images as the poses, from 0, or write one file for each pose into pose/"
    raise BadInput(where, what, remedy)
