"""Tables of classes and of scans as spreadsheets, editors and hasty people write them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from hypothesis import strategies as st

from pipeline.plan import manifest
from tests.other_files import Variant

CLASSES = [
    ["wall", "1", "#aec7e8", "wall"],
    ["sofa", "6", "#8c564b", "sofa|couch"],
    ["night table", "", "", "night table|bedside table, small"],
    ["Küche", "12", "ff0000", 'kitchen|18" sink'],
]
SCANS = [["scene0000_00", "train", "3"], ["room-1", "val", ""], ["Zimmer_2", "test", "12"]]
HEADS = {"classes": ["name", "nyu40", "color", "prompts"], "scans": ["scan", "split", "seed"]}
Cells = list[list[str]]

# What a program does to a table, which changes nothing of what it says.
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16"]
ENDS = ["\n", "\r\n", "\r"]
SEPARATORS = [",", ";", "\t"]
HARMLESS: dict[str, Callable[[Cells], Cells]] = {
    "as it is": lambda rows: rows,
    "blank lines": lambda rows: [each for row in rows for each in (row, [])],
    "blanks around cells": lambda rows: [[f" {cell} " for cell in row] for row in rows],
    "empty columns at the right": lambda rows: [[*row, "", ""] for row in rows],
    "empty lines of cells": lambda rows: [*rows, [""] * len(rows[0])],
    "columns in another order": lambda rows: [row[::-1] for row in rows],
    "a column of notes": lambda rows: [
        [*row, "notes" if n == 0 else "x"] for n, row in enumerate(rows)
    ],
}


def text(rows: Cells, separator: str, end: str, every_quote: bool) -> str:
    """The table, its cells in quotes where they must be, or all of them."""

    def cell(value: str) -> str:
        needed = every_quote or any(mark in value for mark in (*SEPARATORS, '"'))
        return '"' + value.replace('"', '""') + '"' if needed else value

    return end.join(separator.join(map(cell, row)) for row in rows) + end


def read(path: Path, kind: str) -> object:
    """What is read of a table, as rows of cells."""
    if kind == "scans":
        return [[row["scan"], row["split"], row["seed"]] for row in manifest.read_scans(path)]
    found = manifest.read_classes(path)
    given = [(each["name"], each.get("nyu40", ""), each.get("color", "")) for each in found]
    prompts = ["|".join(each["prompts"]) for each in found]
    return [[*map(str, known), own] for known, own in zip(given, prompts, strict=True)]


def whole(folder: Path, kind: str, how: str, encoding: str, form: tuple[str, str, bool]) -> None:
    """A table that somebody's program wrote is read as it is meant."""
    rows = CLASSES if kind == "classes" else SCANS
    path = folder / "table.csv"
    path.write_bytes(text(HARMLESS[how]([HEADS[kind], *rows]), *form).encode(encoding))
    assert read(path, kind) == rows


# What makes a table say something else than was meant: name -> old and new text, of one place.
DAMAGE = {
    "classes": {
        "open quote": ("sofa|couch", '"sofa|couch'),
        "open quote at the end": ("kitchen", '"kitchen'),
        "two open quotes": ("wall\nsofa,6,#8c564b,sofa", '"wall\nsofa,6,#8c564b,"sofa'),
        "text behind a quote": ("sofa|couch", '"sofa|couch" x'),
        "a comma too many": ("sofa|couch", "sofa,couch"),
        "a colour by name": ("#aec7e8", "red"),
        "a short colour": ("#aec7e8", "#abc"),
        "a long colour": ("#aec7e8", "#aec7e8ff"),
        "a colour as three numbers": ("#aec7e8", "174 199 232"),
        "a colour that is no hex": ("#aec7e8", "#aec7eg"),
        "a colour of other digits": ("#aec7e8", "#aec7e\u0668"),
        "a class twice": ("sofa,6", "wall,6"),
        "a class twice but for case": ("sofa,6", "Wall,6"),
        "a class twice but for a form of letters": ("wall,1", "Ku\u0308che,1"),
        "a class twice but for a blank nobody sees": ("sofa,6", "wall\u200b,6"),
        "a class twice but for a bar": ("wall,1", "night_table,1"),
        "the prompts of another": ("sofa|couch", "Wall"),
        "the color of another": ("#8c564b", "AEC7E8"),
        "prompts between semicolons": ("sofa|couch", "sofa;couch"),
        "two names in one": ("wall,1", "wall|brick,1"),
        "a comment": ("sofa,6", "# sofa,6"),
        "numbers that are not the order": ("nyu40", "id"),
        "an empty prompt": ("sofa|couch", "sofa||couch"),
        "no prompts": ("sofa|couch", ""),
        "no name": ("wall,1", ",1"),
        "an id with a point": ("wall,1,", "wall,1.0,"),
        "a negative id": ("wall,1,", "wall,-1,"),
        "an id that is none": ("wall,1,", "wall,one,"),
        "an id of nothing": ("wall,1,", "wall,0,"),
        "an id beyond NYU40": ("wall,1,", "wall,41,"),
        "an id of many digits": ("wall,1,", f"wall,{'9' * 5000},"),
        "a column twice": ("nyu40,color", "color,color"),
        "colour": ("color", "colour"),
        "another name of an id": ("nyu40", "nyu_40"),
        "no column of prompts": ("prompts", "words"),
        "a zero byte": ("couch", "cou\0ch"),
        "no line of names": ("name,nyu40,color,prompts\n", ""),
    },
    "scans": {
        "a scan twice": ("room-1", "scene0000_00"),
        "a split that is none": ("train", "training"),
        "no split": ("train", ""),
        "a seed that is none": (",3", ",three"),
        "a seed with a point": (",3", ",3.0"),
        "a negative seed": (",3", ",-3"),
        "a path": ("room-1", "../room-1"),
        "a blank in a name": ("room-1", "room 1"),
        "a name for the shell": ("room-1", "$(touch x)"),
        "a surplus cell": (",3", ",3,4"),
        "an open quote": ("room-1", '"room-1'),
        "a column twice": ("split,seed", "split,split"),
        "seeds": ("split,seed", "split,seeds"),
    },
}


def damaged(folder: Path, kind: str, name: str, end: str) -> None:
    """What is not meant is refused."""
    good = text([HEADS[kind], *(CLASSES if kind == "classes" else SCANS)], ",", "\n", False)
    old, new = DAMAGE[kind][name]
    assert old in good
    path = folder / "table.csv"
    path.write_bytes(good.replace(old, new, 1).replace("\n", end).encode())
    read(path, kind)
    raise AssertionError("was read")


def not_utf8(folder: Path, encoding: str) -> None:
    """Text of another code page is refused, or read as it is meant."""
    path = folder / "table.csv"
    path.write_bytes(text([HEADS["classes"], *CLASSES], ",", "\n", False).encode(encoding))
    assert read(path, "classes") == CLASSES


def no_file(folder: Path, what: str) -> None:
    """What is no table is refused."""
    path = folder / "table.csv"
    if what == "a folder":
        path.mkdir()
    elif what != "nothing":
        path.write_bytes(
            {"empty": b"", "one line": b"name,prompts\n", "an image": b"\x89PNG\r\n"}[what]
        )
    read(path, "classes")
    raise AssertionError("was read")


KINDS = st.sampled_from(sorted(HEADS))
FORMS = st.tuples(st.sampled_from(SEPARATORS), st.sampled_from(ENDS), st.booleans())
DAMAGES = st.sampled_from([(kind, name) for kind, names in DAMAGE.items() for name in names])
VARIANTS = st.one_of(
    st.builds(
        lambda kind, how, code, form: Variant(
            f"{kind}, {how}, {code}, {form}",
            partial(whole, kind=kind, how=how, encoding=code, form=form),
        ),
        KINDS,
        st.sampled_from(sorted(HARMLESS)),
        st.sampled_from(ENCODINGS),
        FORMS,
    ),
    st.builds(
        lambda which, end: Variant(
            f"{which}, {end!r}", partial(damaged, kind=which[0], name=which[1], end=end), True
        ),
        DAMAGES,
        st.sampled_from(["\n", "\r\n"]),
    ),
    st.sampled_from(["latin-1", "cp1252", "cp850", "utf-16-le", "utf-32"]).map(
        lambda code: Variant(f"text in {code}", partial(not_utf8, encoding=code), True)
    ),
    st.sampled_from(["a folder", "nothing", "empty", "one line", "an image"]).map(
        lambda what: Variant(what, partial(no_file, what=what), True)
    ),
)
