"""Files of scene tags, `scan,classes`, with the classes of a scan as people write them."""

from functools import partial
from pathlib import Path

from hypothesis import strategies as st

from pipeline.plan import manifest
from tests.other_files import Variant

NAMES = ["wall", "floor", "chair", "night table"]
CLASSES = [{"name": name} for name in NAMES]
MEANT = {"room": ["wall", "floor", "chair"], "hall": ["floor", "night table"], "attic": ["wall"]}


def check(folder: Path, separator: str, bar: str, first: str, end: str, surplus: bool) -> None:
    """Tags of all scans are read; a table whose classes stand in cells of their own is refused."""
    lines = [first.replace(",", separator)]
    lines += [f"{scan}{separator}{bar.join(tags)}" for scan, tags in MEANT.items()]
    path = folder / "tags.csv"
    path.write_bytes((end.join(lines) + (separator * 2 if surplus else "") + end).encode())
    assert manifest.read_tags(path, CLASSES) == MEANT


DAMAGE = {
    "a scan twice": "scan,classes\nroom,wall\nroom,floor\n",
    "a scan twice, the same": "scan,classes\nroom,wall\nroom,wall\n",
    "commas": "scan,classes\nroom,wall,floor,chair\n",
    "commas in quotes": 'scan,classes\nroom,"wall,floor"\n',
    "commas with names": "scan,classes,,\nroom,wall,floor,chair\n",
    "blanks between": "scan,classes\nroom,wall floor\n",
    "an unknown class": "scan,classes\nroom,wall|sofa\n",
    "another case": "scan,classes\nroom,Wall\n",
    "a bar at the end": "scan,classes\nroom,wall|\n",
    "nothing": "scan,classes\nroom,\n",
    "no scan": "scan,classes\n,wall\n",
    "an open quote": 'scan,classes\nroom,"wall|floor\nhall,wall\n',
    "a line of a class each": "scan,classes\nroom,wall\nroom,floor\nhall,wall\n",
    "a table of ones": "scan,wall,floor\nroom,1,0\n",
    "no line of names": "room,wall|floor\nhall,wall\n",
}


def damaged(folder: Path, name: str) -> None:
    """Classes that would be lost are told."""
    path = folder / "tags.csv"
    path.write_text(DAMAGE[name])
    manifest.read_tags(path, CLASSES)
    raise AssertionError("was read")


VARIANTS = st.one_of(
    st.builds(
        lambda separator, bar, first, end, surplus: Variant(
            f"{separator!r} {bar!r} {first!r} {end!r}, surplus {surplus}",
            partial(check, separator=separator, bar=bar, first=first, end=end, surplus=surplus),
            may_be_refused=bar.strip() == ",",
        ),
        st.sampled_from([",", ";", "\t"]),
        st.sampled_from(["|", " | ", "| ", ","]),
        st.sampled_from(["scan,classes", " scan , classes", '"scan","classes"']),
        st.sampled_from(["\n", "\r\n", "\r"]),
        st.booleans(),
    ),
    st.sampled_from(sorted(DAMAGE)).map(
        lambda name: Variant(name, partial(damaged, name=name), True)
    ),
)
