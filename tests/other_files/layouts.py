"""Folders of RGB-D frames in every layout, with options of the programs that write them.

Right folders must be read with the right pose, colour and depth for each frame; folders that lack
some files must never pair what does not belong together.
"""

from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from pipeline.readers.folder.files import scan_files
from pipeline.readers.folder.frames import open_frames
from pipeline.readers.folder.upright import turn_up
from pipeline.scan import Frame
from tests.helpers import room_frames
from tests.other_files import Variant
from tests.other_files._written_layouts import PATTERNS, Write, ways

NESTED = ("", "sequence", "seq-01")
UPS = ("z", "-z", "y", "-y", "x", "-x")


@cache
def room() -> tuple[Frame, ...]:
    return tuple(room_frames.frames(5, whole=True))


def check(folder: Path, write: Write, up: str, numbers: list[int], nested: str) -> None:
    """All frames are read, and what belongs together is together."""
    write(folder / "scan" / nested, in_world(up, numbers))
    assert match(folder) == len(numbers)


def check_lacking(folder: Path, write: Write, lack: list[tuple[str, int]]) -> None:
    """Whatever frames are left are right, although some files of some kinds are not there."""
    write(folder / "scan", in_world("z", list(range(5))))
    for pattern, which in lack:
        found = sorted((folder / "scan").glob(pattern))
        found[which % len(found)].unlink(missing_ok=True)
    assert match(folder) >= 1


def check_part(folder: Path, write: Write, pattern: str) -> None:
    """A whole part is not there: nothing can be read."""
    write(folder / "scan", in_world("z", list(range(3))))
    for path in (folder / "scan").glob(pattern):
        path.unlink()
    raise AssertionError(f"{match(folder)} frames were read")


def in_world(up: str, numbers: list[int]) -> list[Frame]:
    """The room in a world in which `up` is up; its frames have other numbers."""
    turn = np.eye(4)
    turn[:3, :3] = turn_up(up).T
    chosen = zip(numbers, room(), strict=False)
    return [replace(f, frame_id=i, camera_to_world=turn @ f.camera_to_world) for i, f in chosen]


def match(folder: Path) -> int:
    """How many frames were read. Raises `AssertionError` where one is not as it was written."""
    reader = open_frames(scan_files(folder, "scan")["frames"])
    assert np.allclose(reader.color_intrinsics, room_frames.K_COLOR, atol=1e-9)
    count = 0
    for i in reader.frame_ids:
        pose = reader.pose(i)
        if not np.isfinite(pose).all():
            continue
        away = [np.abs(pose - f.camera_to_world).max() for f in room()]
        written = room()[int(np.argmin(away))]
        assert min(away) < 1e-9, f"frame {i} has a pose that nobody wrote, {pose.tolist()}"
        frame = reader.read(i)
        assert frame.color == written.color, f"frame {i} has the colours of another frame"
        metres = frame.depth / reader.depth_scale
        assert np.abs(metres - written.depth / 1000).max() < 2e-4, f"frame {i} has another depth"
        count += 1
    return count


@st.composite
def right(draw: st.DrawFn) -> Variant:
    what, write, any_world, any_numbers = draw(st.sampled_from(ways()))
    first, step = draw(st.sampled_from([(0, 1), (1, 1), (7, 1), (0, 10), (95, 3)]))
    if not any_numbers:
        first, step = 0, 1
    count = draw(st.integers(1, 5))
    # Which way is up is asked of several cameras.
    up = draw(st.sampled_from(UPS)) if any_world and count > 2 else "z"
    numbers = [first + step * i for i in range(count)]
    nested = draw(st.sampled_from(NESTED))
    words = f"{what}, {up} up, frames {numbers}, in {nested or 'the folder'}"
    made = partial(check, write=write, up=up, numbers=numbers, nested=nested)
    # One name with several numbers does not tell which of them is the frame's.
    return Variant(words, made, may_be_refused=count == 1)


@st.composite
def lacking(draw: st.DrawFn) -> Variant:
    name = draw(st.sampled_from(sorted(PATTERNS)))
    write, kinds, _ = PATTERNS[name]
    lack = draw(
        st.lists(st.tuples(st.sampled_from(kinds), st.integers(0, 4)), min_size=1, max_size=3)
    )
    made = partial(check_lacking, write=write, lack=lack)
    return Variant(f"{name} without {lack}", made, may_be_refused=True)


@st.composite
def half(draw: st.DrawFn) -> Variant:
    name = draw(st.sampled_from(sorted(PATTERNS)))
    write, _, parts = PATTERNS[name]
    part = draw(st.sampled_from(parts))
    made = partial(check_part, write=write, pattern=part)
    return Variant(f"{name} without any {part}", made, may_be_refused=True)


VARIANTS = st.one_of(right(), right(), lacking(), half())
