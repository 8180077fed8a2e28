"""Write a `.sens`, ScanNet's stream of frames, in the format of its recorder.

Layout: public ScanNet code, SensReader/c++/src/sensorData.h.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.scan import Frame

IMU_SAMPLE = np.dtype(
    [
        ("rotation_rate", "<f8", 3),
        ("acceleration", "<f8", 3),
        ("magnetic_field", "<f8", 3),
        ("attitude", "<f8", 3),
        ("gravity", "<f8", 3),
        ("timestamp", "<u8"),
    ]
)


@dataclass(frozen=True)
class Sensor:
    """The header of a `.sens`; in real scans the depth camera is the rescaled colour camera."""

    color_size: tuple[int, int]  # (width, height)
    depth_size: tuple[int, int]
    color_intrinsics: NDArray[np.float64]  # (3, 3)
    depth_intrinsics: NDArray[np.float64]  # (3, 3)
    depth_scale: float = 1000.0  # metres = depth / depth_scale
    name: str = "StructureSensor"
    color_compression: Literal["raw", "png", "jpeg"] = "jpeg"  # the encoding of `Frame.color`
    depth_compression: Literal["raw", "zlib"] = "zlib"  # the encoding of depth in the file


def write_sens(
    path: Path, sensor: Sensor, frames: Iterable[Frame], imu: NDArray | None = None
) -> int:
    """Write a `.sens`, version 4, with one frame in memory; returns the number of frames."""
    name = sensor.name.encode()
    count = 0
    with open(path, "wb") as file:
        file.write(struct.pack("<IQ", 4, len(name)) + name)
        for intrinsics in (sensor.color_intrinsics, sensor.depth_intrinsics):
            matrix = np.eye(4, dtype="<f4")
            matrix[:3, :3] = intrinsics
            file.write(matrix.tobytes() + np.eye(4, dtype="<f4").tobytes())  # with its extrinsics
        compressions = (
            ("raw", "png", "jpeg").index(sensor.color_compression),
            ("raw", "zlib").index(sensor.depth_compression),
        )
        sizes = (*sensor.color_size, *sensor.depth_size)
        file.write(struct.pack("<2i4If", *compressions, *sizes, sensor.depth_scale))
        place_of_count = file.tell()
        file.write(struct.pack("<Q", 0))
        for frame in frames:
            pose = frame.camera_to_world.astype("<f4")
            if not np.isfinite(pose).all():
                pose = np.full((4, 4), -np.inf, "<f4")  # the release's mark of lost tracking
            depth = frame.depth.astype("<u2").tobytes()
            if sensor.depth_compression == "zlib":
                depth = zlib.compress(depth)
            times_and_sizes = (frame.timestamp, frame.timestamp, len(frame.color), len(depth))
            file.write(pose.tobytes() + struct.pack("<4Q", *times_and_sizes))
            file.write(frame.color)
            file.write(depth)
            count += 1
        samples = np.zeros(0, IMU_SAMPLE) if imu is None else imu.astype(IMU_SAMPLE)
        file.write(struct.pack("<Q", len(samples)) + samples.tobytes())
        file.seek(place_of_count)
        file.write(struct.pack("<Q", count))
    return count
