"""Which images, poses and times belong together: by the numbers in their names, never by count."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder.times import MAX_GAP, pairs, seconds_of
from pipeline.readers.folder.values import FIX

COLOR = ("color", "colour", "rgb", "image", "images", "img", "imgs")
DEPTH = ("depth", "depths")
POSE = ("pose", "poses")
COLOR_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
DEPTH_ENDINGS = (".png", ".tif", ".tiff", ".npy", ".exr")

Group = dict[str, Path]
_TOO_LONG = 1 << 62  # numbers are kept in 64 bits; frames with longer ones are counted
_NUMBER = re.compile(r"[0-9]{1,30}")


def in_folder(names: Mapping[str, Path], folders: Iterable[str], endings: tuple[str, ...]) -> Group:
    """The files of the first of `folders` that has some with one of these endings.

    Those without a number in their name are passed over, unless none has one.
    """
    lower = {name: name.lower() for name in names}
    for folder in folders:
        found = {
            name: names[name]
            for name, small in lower.items()
            if small.startswith(f"{folder}/") and small.count("/") == 1
            if small.endswith(endings)
        }
        if found:
            return {name: path for name, path in found.items() if numbers_in(name)} or found
    return {}


def numbers_in(name: str) -> tuple[int, ...]:
    """The numbers in the name of a file, without its folder and its ending."""
    return _numbers(_stem(name))


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _numbers(stem: str) -> tuple[int, ...]:
    return tuple(int(n) for n in _NUMBER.findall(stem))


def paired(kinds: Mapping[str, Group], of: str | None = None) -> dict[int, Group]:
    """Frame -> kind -> file, by the number in the names (`frame_0012.jpg` and `12.txt`).

    Numbers that all names of a kind share (`scan3_0012.jpg`) mean nothing; of several the first
    that differs from file to file counts, unless the names are the same. Names that are different
    times, in seconds with a point or of 13 digits or more, pair with the nearest, and frames are
    numbered in their order. With `of`, frames without a file of that kind are left out: the others
    were not kept. Raises `BadInput` where a number stands twice, or a frame lacks a file.
    """
    if len({frozenset(_stem(name) for name in files) for files in kinds.values()}) > 1:
        times = {kind: _times(files) for kind, files in kinds.items()}
        if all(times.values()):
            return _by_time(times)
    number_of = _numbering(list(kinds.values()))
    frames: dict[int, Group] = {}
    for kind, files in kinds.items():
        for name, path in files.items():
            frame = frames.setdefault(number_of[name], {})
            if kind in frame:
                raise BadInput(path, f"is the second {kind} file of frame {number_of[name]}", FIX)
            frame[kind] = path
    if of is not None:
        frames = {i: frame for i, frame in frames.items() if of in frame}
    require_all(frames.values(), kinds)
    ordered = dict(sorted(frames.items()))
    return ordered if max(ordered, default=0) < _TOO_LONG else dict(enumerate(ordered.values()))


def require_all(frames: Iterable[Mapping[str, Path]], kinds: Iterable[str]) -> None:
    """Raise `BadInput` where a frame lacks the file of a kind."""
    for frame in frames:
        if lacking := [kind for kind in kinds if kind not in frame]:
            what = f"has no {' and no '.join(lacking)} file beside it"
            raise BadInput(next(iter(frame.values())), what, FIX)


def _times(files: Group) -> dict[float, Path]:
    """Seconds -> file in the order of time; empty where a name is no time, or one stands twice."""
    found = {seconds_of(_stem(name)): path for name, path in files.items()}
    known = {time: path for time, path in found.items() if time is not None}
    return dict(sorted(known.items())) if len(known) == len(files) else {}


def _by_time(kinds: Mapping[str, dict[float, Path]]) -> dict[int, Group]:
    """Frames of what is nearest in time, each of the other; what has no partner is left out."""
    first, *others = kinds
    times = {kind: np.array(list(files)) for kind, files in kinds.items()}
    paths = {kind: list(files.values()) for kind, files in kinds.items()}
    frames: dict[int, Group] = {i: {first: path} for i, path in enumerate(paths[first])}
    for kind in others:
        for i, j in pairs(times[first], times[kind]).tolist():
            frames[i][kind] = paths[kind][j]
    whole = {i: frame for i, frame in frames.items() if len(frame) == len(kinds)}
    if not whole:
        what = f"has no {first} within {1000 * MAX_GAP:.0f} ms of {' and '.join(others)}"
        raise BadInput(paths[first][0].parent, what, FIX)
    return whole


def _numbering(kinds: list[Group]) -> dict[str, int]:
    """Name -> number of its frame, for the files of all kinds."""
    keys = [_varying(files) for files in kinds]
    if all(len(key) == 1 for each in keys for key in each.values()):
        return {name: key[0] for each in keys for name, key in each.items()}
    stems = [{_stem(name) for name in files} for files in kinds]
    if all(stem == stems[0] for stem in stems):
        ordered = sorted(stems[0], key=lambda stem: (_numbers(stem), stem))
        rank = {stem: i for i, stem in enumerate(ordered)}
        return {name: rank[_stem(name)] for files in kinds for name in files}
    for files, each in zip(kinds, keys, strict=True):
        if nameless := next((name for name, key in each.items() if not key), None):
            raise BadInput(files[nameless], "has no number in its name", FIX)
    return {name: key[0] for each in keys for name, key in each.items()}


def _varying(files: Group) -> dict[str, tuple[int, ...]]:
    """Name -> those of its numbers that differ between the files, of a single file all."""
    found = {name: numbers_in(name) for name in files}
    count = min(len(numbers) for numbers in found.values())
    found = {name: numbers[-count:] for name, numbers in found.items()}
    varying = [i for i in range(count) if len({numbers[i] for numbers in found.values()}) > 1]
    if not varying:
        return found
    return {name: tuple(numbers[i] for i in varying) for name, numbers in found.items()}
