"""A ScanNet scan of a few hundred bytes with known content."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.scan import Frame
from pipeline.simulate.scannet_files import IMU_SAMPLE, ObjectLabel, Sensor, SimulatedScan, Surface
from pipeline.simulate.scannet_text import LABEL_MAP_COLUMNS

SENSOR = Sensor(
    color_size=(27, 20),
    depth_size=(16, 12),
    color_intrinsics=np.array([[24.5, 0, 13.25], [0, 24.25, 9.5], [0, 0, 1]]),
    depth_intrinsics=np.array([[14.5, 0, 7.75], [0, 14.25, 5.5], [0, 0, 1]]),
)
LOST = 2  # the frame without a pose
CHAIR, WARDROBE, RACK, STAND = 1, 2, 3, 4
OBJECTS = {
    CHAIR: ObjectLabel("chair", 5),
    WARDROBE: ObjectLabel("wardrobe ", 39),  # the release has trailing blanks
    RACK: ObjectLabel("rack", 50),  # stray ids of an old label map
    STAND: ObjectLabel("stand", 149),
}
CLASSES = [{"name": "chair", "nyu40": 5}, {"name": "otherfurniture", "nyu40": 39}]
LABEL_MAP = {"chair": 5, "wardrobe": 39, "rack": 39, "stand": 40}


def write_label_map(path: Path, ids: Mapping[str, int], nyu40: int = 40) -> None:
    """Write a label map with the `id` of each raw category, all of them with one NYU40 id."""
    rows = [LABEL_MAP_COLUMNS]
    for name, number in ids.items():
        known = {"id": str(number), "raw_category": name, "nyu40id": str(nyu40)}
        rows.append([known.get(column, "") for column in LABEL_MAP_COLUMNS])
    path.write_text("\n".join("\t".join(row) for row in rows))


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    """`pixels` as a JPEG or PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def frames(count: int = 5, kind: str = "JPEG") -> list[Frame]:
    """Frames of noise; frame 2 has lost its pose, frame 1 has measured no depth."""
    rng = np.random.default_rng([1, count])
    made = []
    for frame_id in range(count):
        pose = np.eye(4)
        pose[:3] = rng.integers(-8, 8, (3, 4)) / 4  # exact in float32 and in six decimals
        color = rng.integers(0, 256, (*SENSOR.color_size[::-1], 3), np.uint8)
        depth = rng.integers(0, 2**16, SENSOR.depth_size[::-1], np.uint16)
        made.append(
            Frame(
                frame_id=frame_id,
                timestamp=1000 * frame_id,
                color=color.tobytes() if kind == "raw" else encoded(color, kind),
                depth=depth * np.uint16(frame_id != 1),
                camera_to_world=np.full((4, 4), -np.inf) if frame_id == LOST else pose,
            )
        )
    return made


def surface() -> Surface:
    """A strip of ten vertices in five segments, two of them one object, one without an object."""
    rng = np.random.default_rng(2)
    number = np.arange(10)
    segment = number // 2 * 2
    return Surface(
        xyz=np.stack([number // 2, number % 2, rng.random(10)], 1).astype(np.float32),
        rgb=rng.integers(0, 256, (10, 3), np.uint8),
        faces=np.array([[i, i + 1, i + 2] if i % 2 else [i + 1, i, i + 2] for i in range(8)]),
        segment=segment.astype(np.int32),
        object_id=np.array([CHAIR, CHAIR, 0, 0, WARDROBE, WARDROBE, RACK, RACK, STAND, STAND]),
    )


def scan(name: str = "scene9000_00", **changes: object) -> SimulatedScan:
    """The tiny scan, with IMU samples."""
    values: dict = {"frames": frames(), "mesh": surface(), "objects": OBJECTS}
    imu = np.zeros(11, IMU_SAMPLE)
    imu["timestamp"] = 7
    return SimulatedScan(name, SENSOR, **{**values, "imu": imu, **changes})


def export(folder: Path, written: list[Frame], sensor: Sensor, padded: bool = False) -> None:
    """Write frames into the folders of ScanNet's Python reader, or those of the 25k bundle."""
    for kind in ("color", "depth", "pose"):
        (folder / kind).mkdir(parents=True)
    for frame in written:
        name = f"{frame.frame_id:06d}" if padded else str(frame.frame_id)
        (folder / f"color/{name}.jpg").write_bytes(frame.color)
        (folder / f"depth/{name}.png").write_bytes(encoded(frame.depth, "PNG"))
        np.savetxt(folder / f"pose/{name}.txt", frame.camera_to_world, "%f")
    for kind, matrix in (("color", sensor.color_intrinsics), ("depth", sensor.depth_intrinsics)):
        whole = np.eye(4)
        whole[:3, :3] = matrix
        name = f"intrinsics_{kind}.txt" if padded else f"intrinsic/intrinsic_{kind}.txt"
        (folder / name).parent.mkdir(exist_ok=True)
        np.savetxt(folder / name, whole, "%f")
