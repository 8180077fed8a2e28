"""Recordings in which a track jumps away, and depth with its largest number for nothing."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from pipeline.readers.folder.files import scan_files
from pipeline.readers.folder.frames import open_frames
from pipeline.readers.folder.recording import FolderFrames
from tests.helpers.room_frames import frames
from tests.helpers.tiny_folders import LAYOUTS
from tests.other_files import Variant

FRAMES = frames(7, whole=True)
INTEGERS = sorted(
    name for name, layout in LAYOUTS.items() if layout.unit == 1 and name not in ("record3d", "exr")
)


def opened(folder: Path) -> FolderFrames:
    """The frames in the folder `scan`."""
    return open_frames(scan_files(folder, "scan")["frames"])


def one_jumps(folder: Path, layout: str, which: int, by: tuple[float, float, float]) -> None:
    """A camera far away leaves its frame without a pose, with a warning; the others stay."""
    LAYOUTS[layout].write(folder / "scan", FRAMES)
    wanted = opened(folder)
    jumped = FRAMES[which].camera_to_world.copy()
    jumped[:3, 3] += by
    written = [replace(f, camera_to_world=jumped) if f.frame_id == which else f for f in FRAMES]
    other = folder / "other"
    LAYOUTS[layout].write(other / "scan", written)
    with pytest.warns(UserWarning, match=r"scan: the camera of 1 of 7 frames .* left out"):
        found = opened(other)
    for number, frame_id in enumerate(wanted.frame_ids):
        if number == which:
            assert not np.isfinite(found.pose(frame_id)).any()
        else:
            np.testing.assert_allclose(found.pose(frame_id), wanted.pose(frame_id), atol=1e-9)


def all_far(folder: Path, layout: str, by: tuple[float, float, float]) -> None:
    """A recording far from the origin is whole."""
    there = np.zeros((4, 4))
    there[:3, 3] = by
    written = [replace(f, camera_to_world=f.camera_to_world + there) for f in FRAMES]
    LAYOUTS[layout].write(folder / "scan", written)
    found = opened(folder)
    assert all(np.isfinite(found.pose(frame_id)).all() for frame_id in found.frame_ids)


def full_depth(folder: Path, layout: str, share: float) -> None:
    """65535 is where nothing was measured."""
    rng = np.random.default_rng(1)
    seen = [rng.random(f.depth.shape) >= share for f in FRAMES]
    full = [
        replace(f, depth=np.where(s, f.depth, np.uint16(65535)))
        for f, s in zip(FRAMES, seen, strict=True)
    ]
    LAYOUTS[layout].write(folder / "scan", full)
    found = opened(folder)
    for frame_id, frame, there in zip(found.frame_ids, FRAMES, seen, strict=True):
        np.testing.assert_array_equal(found.read(frame_id).depth, np.where(there, frame.depth, 0))


METRES = st.sampled_from([90.0, -200.0, 600.0, -1e3, 1e5, -1e7, 1e8])
NEAR = st.floats(-100, 100)
VARIANTS = st.one_of(
    st.builds(
        lambda name, which, x, y: Variant(
            f"{name}, frame {which} by {x:g} m",
            partial(one_jumps, layout=name, which=which, by=(x, y, 0.0)),
        ),
        st.sampled_from(["own", "tum", "open3d", "colmap", "transforms", "flat"]),
        st.integers(0, 6),
        METRES,
        NEAR,
    ),
    st.builds(
        lambda name, x, y: Variant(
            f"{name}, all {x:g} m away", partial(all_far, layout=name, by=(x, y, 3.0))
        ),
        st.sampled_from(["own", "tum", "flat"]),
        METRES,
        NEAR,
    ),
    st.builds(
        lambda name, share: Variant(
            f"{name}, 65535 in {share:.0%}", partial(full_depth, layout=name, share=share)
        ),
        st.sampled_from(INTEGERS),
        st.sampled_from([0.05, 0.4, 0.9]),
    ),
)
