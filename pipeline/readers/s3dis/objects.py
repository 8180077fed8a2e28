"""The files of the annotated objects of a room of S3DIS: which are read, left out or refused."""

import re
import warnings
from collections.abc import Callable
from filecmp import cmp
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.readers.s3dis.point_text import count_points

_CLASS = re.compile(r"[^\W\d_]*")
_OBJECT = re.compile(r"[A-Za-z]+_[0-9]+")
# A second `wall_3.txt` in one folder: `wall_3 (1).txt` in the releases, and what programs and
# people make of a file that they copy: `wall_3 copy.txt`, `Kopie von wall_3.txt`, `wall_3_old.txt`
_COPIED = re.compile(rf"(?:.*[^A-Za-z])?({_OBJECT.pattern})(?:[^0-9].*)?")
_FEWER = 0.01  # share of a room's points that its objects may lack without a word
_NUMBERED = re.compile(rf"{_OBJECT.pattern} \([0-9]+\)")


def texts(folder: Path) -> list[Path]:
    """The text clouds of a folder by name, without hidden files and second copies of a file.

    Raises `BadInput` for what is named as a copy and has another content, and for the same points
    as objects of two classes.
    """
    paths = sorted(path for path in _visible(folder) if path.suffix.lower() == ".txt")
    names = {path.stem: path for path in paths}
    found: list[Path] = []
    of_size: dict[int, list[Path]] = {}
    for path in sorted(paths, key=lambda path: _OBJECT.fullmatch(path.stem) is None):
        copied = None if _OBJECT.fullmatch(path.stem) else _COPIED.fullmatch(path.stem)
        named = bool(copied and copied[1] in names)
        same_size = of_size.setdefault(path.stat().st_size, [])
        if named and _NUMBERED.fullmatch(path.stem):
            continue
        if twin := next(filter(_same(path), same_size), None):
            if not copied and class_of(path) != class_of(twin):
                what = f"has the points of {twin.name}, an object of another class"
                raise BadInput(path, what, "remove the wrong one")
            continue
        if copied and named:
            what = f"is named as a copy of {copied[1]}.txt, and has other points"
            raise BadInput(path, what, "remove one of them, or name it as an object (wall_7.txt)")
        same_size.append(path)
        found.append(path)
    return sorted(found)


def require_all(folder: Path) -> None:
    """Raise `BadInput` for objects that are packed, cut off in a download, or a folder too deep."""
    visible = _visible(folder)
    read = {path: _object_of(path) for path in visible if path.suffix.lower() == ".txt"}
    for path in visible:
        if path in read:  # nearly all, of which each look at the disk would count
            continue
        inside = _visible(path) if path.is_dir() else [path]
        names = {_object_of(each) for each in inside} - {*read.values()}
        if any(_OBJECT.fullmatch(name) for name in names):
            what = "has points of the room that would be left out, since they are no .txt there"
            raise BadInput(path, what, f"put them into {folder} as text, or remove them")


def class_of(path: Path) -> str:
    """`chair` of `chair_2.txt`, as of `Chair-2.txt`, `chair 2.txt` and `chair.txt`."""
    return _CLASS.match(path.stem)[0].lower()  # type: ignore[index]


def warn_of_missing(folder: Path, objects: int) -> None:
    """Warn where the room's own text has more points than its objects, `objects` together.

    `folder` is that of the room. An object that was never unpacked, or ends too early, shows in
    nothing else. Raises `BadInput`.
    """
    own = [path for path in texts(folder) if path.stem == folder.name]
    points = count_points(own[0]) if own else 0
    if points - objects > _FEWER * points:
        share = f"{1 - objects / points:.0%} of the {points:,} points of {own[0].name}"
        what = f"its objects lack {share}; if one is missing or cut off, unpack the room again"
        warnings.warn(f"{folder / 'Annotations'}: {what}.", stacklevel=3)


def _object_of(path: Path) -> str:
    """`wall_1` of `Wall 1.TXT` and of `wall_1.txt.part`."""
    return re.sub("[ _-]+", "_", path.name.partition(".")[0].lower())


def _visible(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _same(path: Path) -> Callable[[Path], bool]:
    return lambda other: cmp(path, other, shallow=False)
