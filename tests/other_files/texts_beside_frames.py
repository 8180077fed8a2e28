"""Text beside frames as editors and shells of Windows save it: with a mark, in UTF-16."""

import codecs
from functools import partial
from pathlib import Path

from hypothesis import strategies as st

from pipeline.readers.folder.files import read_own_tags
from tests.helpers.tiny_folders import write_own
from tests.other_files import Variant
from tests.other_files._written_layouts import Write, ways
from tests.other_files.layouts import in_world, match

ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-be")
ENDS = ("\n", "\r\n")


def saved(text: str, encoding: str, end: str) -> bytes:
    """The text as such a program saves it; UTF-16 of either order has a mark."""
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    return mark + text.replace("\n", end).encode(encoding)


def check(folder: Path, write: Write, encoding: str, end: str) -> None:
    """Poses, cameras and lists are those of the same text in plain UTF-8."""
    write(folder / "scan", in_world("z", list(range(3))))
    for path in sorted(p for p in (folder / "scan").rglob("*") if p.is_file()):
        content = path.read_bytes()
        if content.isascii() and b"\0" not in content:
            path.write_bytes(saved(content.decode("ascii"), encoding, end))
    assert match(folder) == 3


def check_tags(folder: Path, encoding: str, end: str) -> None:
    """Scene tags are read."""
    (folder / "scan").mkdir()
    (folder / "scan/tags.txt").write_bytes(saved("wall\nKüche|sofa\n", encoding, end))
    found = read_own_tags(folder, ["scan"], ["wall", "sofa", "Küche"])
    assert found == {"scan": ["wall", "Küche", "sofa"]}


def check_comments(folder: Path, comment: str) -> None:
    """What `numpy.savetxt` and people note in files of poses and cameras is no number."""
    scan = folder / "scan"
    write_own(scan, in_world("z", list(range(3))))
    for path in scan.rglob("*.txt"):
        path.write_text(comment.format(path.read_text().rstrip("\n")))
    assert match(folder) == 3


@st.composite
def layouts(draw: st.DrawFn) -> Variant:
    what, write, *_ = draw(st.sampled_from(ways()))
    encoding, end = draw(st.sampled_from(ENCODINGS)), draw(st.sampled_from(ENDS))
    made = partial(check, write=write, encoding=encoding, end=end)
    return Variant(f"{what}, its text in {encoding} with {end!r}", made)


TAGS = st.builds(
    lambda encoding, end: Variant(
        f"tags in {encoding} with {end!r}", partial(check_tags, encoding=encoding, end=end)
    ),
    st.sampled_from(ENCODINGS),
    st.sampled_from(ENDS),
)
COMMENTS = st.sampled_from(["# fx 0 cx 1\n{}\n", "{} # 4 x 4\n", "#\n\n{}\n# 12\n"]).map(
    lambda comment: Variant(f"comment {comment!r}", partial(check_comments, comment=comment))
)
VARIANTS = st.one_of(layouts(), layouts(), layouts(), TAGS, COMMENTS)
