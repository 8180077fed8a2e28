"""Rooms of S3DIS whose annotated objects were copied, renamed or mixed by people and programs."""

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from pipeline.errors import BadInput
from pipeline.readers.s3dis.cloud import read_cloud
from pipeline.readers.s3dis.files import scan_files
from pipeline.readers.s3dis.labels import read_labels
from pipeline.readers.s3dis.point_text import count_points
from pipeline.readers.s3dis.points import read_points_only
from pipeline.simulate.s3dis_files import ALIGNED, NOT_ALIGNED, SimulatedRoom, write_room
from tests.helpers import tiny_s3dis
from tests.other_files import Variant

SCAN = "Area_1_office_1"
COPIES = [
    *("{} copy", "{} copy 2", "Copy of {}", "{} - Copy", "{} - Copy (2)", "{} (1)", "{}(1)"),
    *("{} 2", "{}_copy", "{} - Kopie", "Kopie von {}", "{}_old", "{}.bak", "{} (conflict 2024)"),
    *("copy_{}", "{}~", "backup {}", "{}_2", "{} - Copie"),
]
CLASSES = [{"name": name} for name in ("wall", "floor", "chair", "table", "clutter")]


@cache
def room(angle: int) -> SimulatedRoom:
    """A small room, and few of its points."""
    whole = tiny_s3dis.room(n_views=1, size=16, angle=angle)
    few = np.arange(0, len(whole.xyz), max(1, len(whole.xyz) // 400))
    changes = {"xyz": whole.xyz[few], "rgb": whole.rgb[few], "object_id": whole.object_id[few]}
    return tiny_s3dis.only_text(whole, **changes)


def annotations(raw: Path) -> list[Path]:
    """The files of the objects, by name."""
    return sorted(raw.rglob("Annotations/*_[0-9].txt"))


def read(raw: Path) -> tuple[np.ndarray, np.ndarray]:
    """Points and classes of the room."""
    groups = scan_files(raw, SCAN)
    labels = read_labels(groups["labels"], CLASSES)
    return read_cloud(groups["cloud"]).xyz, labels.label


@st.composite
def copies(draw: st.DrawFn) -> Variant:
    """A copy of an object counts once; what is named as a copy and is none is refused."""
    name, which = draw(st.sampled_from(COPIES)), draw(st.integers(0, 50))
    release, changed = draw(st.sampled_from([ALIGNED, NOT_ALIGNED])), draw(st.booleans())
    changed = changed and name != "{} (1)"  # the releases have such, whatever is in them

    def check(folder: Path) -> None:
        write_room(folder, room(90), [release])
        paths, wanted = annotations(folder), read(folder)
        original = paths[which % len(paths)]
        lines = original.read_bytes().splitlines(keepends=True)
        copy = original.with_name(f"{name.format(original.stem)}.txt")
        copy.write_bytes(b"".join(lines[: len(lines) // 2] if changed else lines))
        if changed:
            with pytest.raises(BadInput, match="copy") as sentence:
                read(folder)
            raise sentence.value
        for found, own in zip(read(folder), wanted, strict=True):
            np.testing.assert_array_equal(found, own)

    return Variant(f"{name} in {release}, changed {changed}", check, changed)


@st.composite
def mixtures(draw: st.DrawFn) -> Variant:
    """Files of both releases in one room are refused, whichever is the odd one."""
    angle, some = draw(st.sampled_from([0, 90, 180, 270])), draw(st.sets(st.integers(0, 50)))
    points_only = draw(st.booleans())

    def check(folder: Path) -> None:
        write_room(folder / "a", room(angle), [ALIGNED])
        write_room(folder / "b", room(angle), [NOT_ALIGNED])
        ours, theirs = annotations(folder / "a"), annotations(folder / "b")
        swapped = {i % len(ours) for i in some}
        for i in swapped:
            ours[i].write_bytes(theirs[i].read_bytes())

        def cloud() -> np.ndarray:
            group = scan_files(folder / "a", SCAN)["cloud"]
            return read_points_only(group, False).xyz if points_only else read_cloud(group).xyz

        if 0 < len(swapped) < len(ours):
            with pytest.raises(BadInput, match="release") as sentence:
                cloud()
            raise sentence.value
        if not points_only:
            wanted = read_cloud(scan_files(folder / "b", SCAN)["cloud"]).xyz
            assert abs(cloud() - wanted).max() < 2e-3

    return Variant(f"{len(some)} files mixed, angle {angle}, {points_only}", check, bool(some))


@st.composite
def spellings(draw: st.DrawFn) -> Variant:
    """Classes have the same labels however they are capitalised, with other files beside them."""
    spell = draw(st.sampled_from([str.upper, str.capitalize, str.title]))
    apart = draw(st.sampled_from(["{}_{}", "{} {}", "{}-{}", "{} _{}"]))
    suffix = draw(st.sampled_from([".txt", ".TXT", ".Txt"]))
    stray = draw(st.sampled_from(["", ".wall_1.txt", "wall_1.txt.swp", "._wall_1.txt", "list.csv"]))

    def check(folder: Path) -> None:
        write_room(folder, room(0), [NOT_ALIGNED])
        wanted = read(folder)
        for path in annotations(folder):
            kind, _, number = path.stem.partition("_")
            path.rename(path.with_name(apart.format(spell(kind), number) + suffix))
        if stray:
            (next(folder.rglob("Annotations")) / stray).write_bytes(b"\0\5\x16\7")
        for found, own in zip(read(folder), wanted, strict=True):
            np.testing.assert_array_equal(found, own)

    named = f"{apart.format(spell.__name__, 1)}{suffix}"
    return Variant(f"names as {named}, {stray or 'nothing'} beside", check)


@st.composite
def objects_left_out(draw: st.DrawFn) -> Variant:
    """An object that is packed, half fetched or in a folder of its own is refused by name."""
    which = draw(st.integers(0, 50))
    place = draw(
        st.sampled_from(
            ["{}.txt.gz", "{}.txt.part", "{}.csv", "{}.ply", "more/{}.txt", "{}/{}.txt"]
        )
    )

    def check(folder: Path) -> None:
        write_room(folder, room(0), [NOT_ALIGNED])
        paths = annotations(folder)
        path = paths[which % len(paths)]
        moved = path.parent / place.format(path.stem, path.stem)
        moved.parent.mkdir(exist_ok=True)
        path.rename(moved)
        with pytest.raises(BadInput, match="would be left out") as sentence:
            read(folder)
        raise sentence.value

    return Variant(place, check, True)


@st.composite
def unknown_names(draw: st.DrawFn) -> Variant:
    """Objects of a class that no release has are clutter, and a warning names them."""
    name = draw(st.sampled_from(["chiar", "lamp", "tables", "Stuhl", "glass"]))
    known = draw(st.sampled_from([None, "stairs", "clutter"]))

    def check(folder: Path) -> None:
        write_room(folder, room(0), [NOT_ALIGNED])
        path = annotations(folder)[0]
        renamed = path.rename(path.with_name(f"{known or name}_99.txt"))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            _, label = read(folder)
        assert (label == CLASSES.index({"name": "clutter"})).sum() >= count_points(renamed)
        assert [str(renamed) in str(each.message) for each in said] == [True] * (known is None)

    return Variant(known or name, check)


VARIANTS = st.one_of(copies(), mixtures(), spellings(), objects_left_out(), unknown_names())
