"""Recordings whose cameras, or whose cloud beside them, have large coordinates."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement

from pipeline.errors import BadInput
from pipeline.readers.folder import cloud, files, frames
from pipeline.scan import Frame
from tests.helpers import planes, tiny_folders
from tests.helpers.room_frames import Y_UP
from tests.helpers.room_frames import frames as recorded
from tests.other_files import Variant

OFFSETS = [
    *((448262.25, 5411932.5, 112.125), (3510000, 5400000, 430), (-1200, 15000.5, 3)),
    *((0, 0, 0), (0, 0, 1834.5), (900, -900, 0)),
]
# Layouts whose poses are in a world of their own, not in the app's
LAYOUTS = ["own", "export", "tum", "3dmatch", "open3d"]


@cache
def room() -> tuple[list[Frame], NDArray[np.float64]]:
    """Frames of the room of planes, and points on its walls."""
    return recorded(3, whole=True), planes.surface(planes.box_room(), 0.4).vertices.astype(float)


def moved(offset: NDArray[np.float64], lying: bool) -> tuple[list[Frame], NDArray[np.float64]]:
    """The same elsewhere, also in a world with y up."""
    made, points = room()
    to_world = Y_UP.copy() if lying else np.eye(4)
    to_world[:3, 3] = offset
    made = [replace(f, camera_to_world=to_world @ f.camera_to_world) for f in made]
    return made, points @ to_world[:3, :3].T + offset


@st.composite
def recordings(draw: st.DrawFn) -> Variant:
    """Cameras and cloud stay where they are to each other, and the cloud is given back."""
    name, offset = draw(st.sampled_from(LAYOUTS)), np.array(draw(st.sampled_from(OFFSETS)))
    lying, holes = draw(st.booleans()), draw(st.booleans())
    apart = draw(st.sampled_from([None, None, None, "the cloud", "the cameras"]))
    if not (np.abs(offset) > 1500).any():
        apart = None

    def check(folder: Path) -> None:
        layout = tiny_folders.LAYOUTS[name]
        made, points = moved(offset, lying)
        if apart == "the cloud":
            made = moved(np.zeros(3), lying)[0]
        elif apart:
            points = moved(np.zeros(3), lying)[1]
        unit = [replace(f, depth=(f.depth * layout.unit).astype(np.uint16)) for f in made]
        layout.write(folder / "scan", unit)
        points[::9] = np.nan if holes else points[::9]
        vertex = np.empty(len(points), [(axis, "f8") for axis in "xyz"])
        for axis, column in zip("xyz", points.T, strict=True):
            vertex[axis] = column
        PlyData([PlyElement.describe(vertex, "vertex")]).write(str(folder / "scan/scan.ply"))
        groups = files.scan_files(folder, "scan")
        if apart:
            with pytest.raises(BadInput, match="from the cameras") as sentence:
                cloud.read_cloud(groups["cloud"])
            raise sentence.value
        read, raw = cloud.read_cloud(groups["cloud"]), frames.open_frames(groups["frames"])
        there = np.isfinite(points.sum(1))
        assert np.array_equal(read.left_out, np.flatnonzero(~there))
        assert np.abs(read.xyz).max() < 1100
        back = (read.xyz.astype(np.float64) + read.offset) @ raw.turn
        assert abs(back - points[there]).max() < 1e-3
        for frame_id, f in zip(raw.frame_ids, made, strict=True):
            pose = raw.pose(frame_id)
            near = (read.xyz - pose[:3, 3]) @ pose[:3, :3]
            own = f.camera_to_world
            wanted = (points[there] - own[:3, 3]) @ own[:3, :3]
            assert abs(near - wanted).max() < 1e-3, abs(near - wanted).max()

    where = f"{name} at {offset.tolist()}, y up {lying}, holes {holes}, apart {apart}"
    return Variant(where, check, bool(apart))


VARIANTS = recordings()
