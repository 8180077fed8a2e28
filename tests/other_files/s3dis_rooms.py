"""Rooms of S3DIS of which something is missing, stands twice, or is called otherwise."""

import shutil
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from pipeline.readers.s3dis.alignment import read_angle
from pipeline.readers.s3dis.cloud import read_cloud
from pipeline.readers.s3dis.files import scan_files
from pipeline.readers.s3dis.labels import read_labels
from pipeline.simulate.s3dis_files import ALIGNED, NOT_ALIGNED, write_room
from tests.helpers import tiny_s3dis
from tests.other_files import Variant
from tests.other_files.s3dis_annotations import SCAN, annotations, room

RELEASES = st.sampled_from([ALIGNED, NOT_ALIGNED])
ANGLES = {
    "as it is": lambda name, angle: f"{name} {angle}\n",
    "a tab": lambda name, angle: f"{name}\t{angle}\n",
    "blanks": lambda name, angle: f"  {name}   {angle}  \r\n",
    "twice the same": lambda name, angle: f"{name} {angle}\n" * 2,
    "twice": lambda name, angle: f"{name} {angle}\n{name} {(angle + 90) % 360}\n",
    "below zero": lambda name, angle: f"{name} {angle - 360}\n",
    "of another room": lambda name, angle: f"{name}0 {angle}\n",
}
GOOD_ANGLES = ("as it is", "a tab", "blanks", "twice the same")


def labels(raw: Path, names: Sequence[str] = tiny_s3dis.NAMES) -> np.ndarray:
    """The labels of the room."""
    classes = [{"name": name} for name in names]
    return read_labels(scan_files(raw, SCAN)["labels"], classes).label


def told(do: Callable[[], object]) -> str:
    """The warnings that are given, in lines."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        do()
    return "\n".join(str(each.message) for each in given)


def missing(folder: Path, release: str, which: int, part: float) -> None:
    """A warning says, by the text of the whole room, that an object is missing or cut off."""
    write_room(folder, room(90), [release])
    paths = annotations(folder)
    path = paths[which % len(paths)]
    assert "lack" not in told(lambda: read_cloud(scan_files(folder, SCAN)["cloud"]))
    lines = path.read_bytes().splitlines(keepends=True)
    kept = int(part * len(lines))
    path.write_bytes(b"".join(lines[:kept]))
    if kept == 0:
        for each in (path, *path.parent.glob(f"{path.stem} (*.txt")):  # and the releases' copies
            each.unlink()
    said = told(lambda: read_cloud(scan_files(folder, SCAN)["cloud"]))
    share = (len(lines) - kept) / len(room(90).xyz)
    assert (share <= 0.01) or f"its objects lack {share:.0%} of the " in said, said


def two_classes(folder: Path, release: str, which: int) -> None:
    """The same points as objects of two classes are refused: nobody knows which it is."""
    write_room(folder, room(0), [release])
    paths = annotations(folder)
    path = paths[which % len(paths)]
    shutil.copyfile(path, path.with_name("sofa_7.txt"))
    labels(folder)
    raise AssertionError("was read")


def no_objects(folder: Path, release: str) -> None:
    """Of two releases the one with objects is read."""
    write_room(folder, room(0), [NOT_ALIGNED, ALIGNED])
    wanted = labels(folder)
    shutil.rmtree(folder / release / "Area_1" / room(0).room / "Annotations")
    np.testing.assert_array_equal(labels(folder), wanted)


def angle(folder: Path, how: str, degrees: int) -> None:
    """The angle of a room is found however its line is written; two angles are refused."""
    path = folder / "Area_1_alignmentAngle.txt"
    path.write_bytes(f"## header\n{ANGLES[how]('office_1', degrees)}".encode())
    assert read_angle(path, "office_1") == degrees
    assert how in GOOD_ANGLES


def names(folder: Path, spell: Callable[[str], str]) -> None:
    """Classes are found by name in any case, and one that no object has is told."""
    write_room(folder, room(0), [NOT_ALIGNED])
    wanted = labels(folder)
    np.testing.assert_array_equal(labels(folder, [*map(spell, tiny_s3dis.NAMES)]), wanted)
    with pytest.warns(UserWarning, match="other names than armchair: no point is labelled so"):
        labels(folder, [*map(spell, tiny_s3dis.NAMES), "armchair"])


NUMBERS = st.integers(0, 50)
VARIANTS = st.one_of(
    st.builds(
        lambda release, which, part: Variant(
            f"{part} of object {which} in {release}",
            partial(missing, release=release, which=which, part=part),
        ),
        *(RELEASES, NUMBERS, st.sampled_from([0, 0.3, 0.7])),
    ),
    st.builds(
        lambda release, which: Variant(
            f"object {which} of two classes in {release}",
            partial(two_classes, release=release, which=which),
            may_be_refused=True,
        ),
        *(RELEASES, NUMBERS),
    ),
    RELEASES.map(
        lambda release: Variant(f"none in {release}", partial(no_objects, release=release))
    ),
    st.builds(
        lambda how, degrees: Variant(
            f"angle {how}", partial(angle, how=how, degrees=degrees), how not in GOOD_ANGLES
        ),
        *(st.sampled_from(sorted(ANGLES)), st.sampled_from([0, 90, 180, 270])),
    ),
    st.sampled_from([str.upper, str.title, str.lower]).map(
        lambda spell: Variant(f"classes as {spell.__name__}", partial(names, spell=spell))
    ),
)
