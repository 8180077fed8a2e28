"""The room of planes as raw frames and a cloud in memory, and stages run into memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from PIL import Image

from pipeline.scan import Cloud, Frame
from pipeline.stages import parts
from tests.helpers import planes

PROJECTIONS: dict[str, Any] = {
    "absolute_tolerance": 0.03,
    "relative_tolerance": 0.01,
    "border": 2,
    "weight": {"incidence_power": 1.0, "half_distance": 3.0, "border_ramp": 10.0},
}
EQUAL_WEIGHTS = {"incidence_power": 0.0, "half_distance": None, "border_ramp": 0.0}


def run(stage: Any, params: dict[str, Any], **inputs: Any) -> Any:
    """The entry that a stage (module) makes."""
    out = zarr.create_group(zarr.storage.MemoryStore())
    name = stage.__name__.rpartition(".")[2]
    chosen = parts.load_parts(name, {"embeddings": params})
    worker = stage.Worker(params, chosen) if chosen else stage.Worker(params)
    worker(out, **inputs)
    return out


def encoded(rgb: NDArray[np.uint8], kind: str = "JPEG") -> bytes:
    file = BytesIO()
    Image.fromarray(rgb).save(file, kind)
    return file.getvalue()


@dataclass
class Recording:
    """A `RawFrames` that is held in memory and notes which frames are read."""

    color_size: tuple[int, int]
    color_intrinsics: planes.Array
    depth_size: tuple[int, int]
    depth_intrinsics: planes.Array
    poses: planes.Array  # (F, 4, 4)
    depth: NDArray[np.uint16]  # (F, h, w)
    colors: list[bytes]
    frame_ids: Sequence[int]
    depth_scale: float = 1000.0
    was_read: list[int] = field(default_factory=list)

    def pose(self, frame_id: int) -> planes.Array:
        return self.poses[self.frame_ids.index(frame_id)]

    def read(self, frame_id: int) -> Frame:
        self.was_read.append(frame_id)
        i = self.frame_ids.index(frame_id)
        return Frame(frame_id, 10 * frame_id, self.colors[i], self.depth[i], self.poses[i])


def recording(
    n_frames: int = 4,
    color_size: tuple[int, int] = (96, 72),
    depth_size: tuple[int, int] = (64, 48),
) -> Recording:
    """`box_room` as seen by cameras on a ring: flat colour, depth exact to the millimetre."""
    scene, poses = planes.box_room(), planes.cameras(n_frames)
    k_color = planes.color_intrinsics(color_size)
    k_depth = planes.depth_intrinsics(k_color, color_size, depth_size)
    depth = [planes.render(scene, k_depth, pose, depth_size)[1] for pose in poses]
    return Recording(
        color_size,
        k_color,
        depth_size,
        k_depth,
        poses,
        np.rint(np.stack(depth) * 1000).astype(np.uint16),
        [encoded(planes.render(scene, k_color, pose, color_size)[0]) for pose in poses],
        list(range(n_frames)),
    )


def cloud(spacing: float = 0.1) -> Cloud:
    """The vertices of the planes of `box_room`."""
    scene = planes.box_room()
    mesh = planes.surface(scene, spacing)
    rgb = np.array([thing.rgb for thing in scene.things], np.uint8)[mesh.thing]
    return Cloud(mesh.vertices, rgb, mesh.normal, mesh.segment)
