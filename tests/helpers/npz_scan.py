"""The room of planes in the format of the reader that CONTRIBUTING.md adds."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.scan import Frame
from tests.helpers import planes, room_frames

SCAN = "room_1"


def npz_frames(whole: bool = False) -> list[Frame]:
    """Frames of the room of planes, with colours as PNG; a lost pose is -inf."""
    made = []
    for frame in room_frames.frames(whole=whole):
        color = room_frames.encoded(np.asarray(Image.open(BytesIO(frame.color))), "PNG")
        pose = np.nan_to_num(frame.camera_to_world, nan=-np.inf)
        made.append(replace(frame, color=color, camera_to_world=pose))
    return made


def write_npz(folder: Path, written: list[Frame]) -> None:
    """A scan in the format of the text."""
    folder.mkdir(parents=True, exist_ok=True)
    surface = planes.surface(planes.box_room(), 0.1)
    np.savez(
        folder / "cloud.npz",
        xyz=surface.vertices,
        rgb=np.full((len(surface.vertices), 3), 99, np.uint8),
    )
    np.savez(
        folder / "cameras.npz",
        color_size=room_frames.COLOR_SIZE,
        depth_size=room_frames.DEPTH_SIZE,
        color_intrinsics=room_frames.K_COLOR,
        depth_intrinsics=room_frames.K_DEPTH,
        camera_to_world=np.stack([frame.camera_to_world for frame in written]),
    )
    for frame in written:
        color = np.asarray(Image.open(BytesIO(frame.color)))
        np.savez(folder / f"frame_{frame.frame_id}.npz", color=color, depth=frame.depth)
