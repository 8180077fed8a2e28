"""A walk through a room with a depth camera: the stored frames, and the fused distance field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scan import Frame
from pipeline.simulate.render import Renderer
from pipeline.simulate.scannet_files import IMU_SAMPLE, Sensor
from pipeline.simulate.sensor import depth_intrinsics, measure_depth, photograph
from pipeline.simulate.surface import Fusion
from pipeline.simulate.walk import camera_path
from pipeline.simulate.world import World

_SEEN_PER_STORED = 2  # frames fused per frame of the `.sens`, as if the others were skipped
_FIELD_VOXEL = 0.6  # of the mesh's edge length: the field is finer, to keep thin things
_FRAME_TIME = 33_333  # microseconds
_BLOB_CHANCE = 0.15  # share of the frames without depth in some region
_FOCAL = (0.9025, 1.2056)  # of ScanNet's colour cameras, in widths and heights of the image


@dataclass(frozen=True, eq=False)
class Recording:
    """The recording, in the world of the scan: metres, z up, rotated relative to the room."""

    sensor: Sensor
    frames: tuple[Frame, ...]
    fusion: Fusion
    room_to_scan: NDArray[np.float64]  # (4, 4)


def record(
    world: World, seed: int, params: Mapping[str, Any], n_lost: int, rng: np.random.Generator
) -> Recording:
    """Walk through the room; `n_lost` of the stored frames get a pose of -inf.

    `params` as in `simulate_scan`. Pictures are taken with the intrinsics and from the poses that
    the files state, which are f32. The mesh has more frames than are stored: with few frames the
    noise of the depth does not average out.
    """
    n_frames = int(params["n_frames"])
    device = _draw_sensor(tuple(params["color_size"]), tuple(params["depth_size"]), rng)
    room_to_scan = _draw_placement(world.outline, rng)
    scan_to_room = np.linalg.inv(room_to_scan)
    path = room_to_scan @ camera_path(world, seed, _SEEN_PER_STORED * n_frames)
    lost = set(rng.choice(n_frames, n_lost, replace=False).tolist())
    blobs = set(np.flatnonzero(rng.random(n_frames) < _BLOB_CHANCE).tolist())
    blobs.add(int(rng.integers(n_frames)))

    renderer = Renderer(world)
    fusion = Fusion(_FIELD_VOXEL * params["mesh_edge"])
    frames = []
    for i, pose in enumerate(path.astype(np.float32).astype(np.float64)):
        number, skipped = divmod(i, _SEEN_PER_STORED)
        view = scan_to_room @ pose
        k = device.depth_intrinsics
        color, true_depth, _ = renderer.render(k, view, device.depth_size)
        depth = measure_depth(true_depth, k, rng, blob=number in blobs)
        if number in lost:
            pose = np.full((4, 4), -np.inf)
        else:
            fusion.add(color, depth, k, pose)
        if not skipped:
            color, _, _ = renderer.render(device.color_intrinsics, view, device.color_size)
            frames.append(Frame(number, i * _FRAME_TIME, photograph(color, rng), depth, pose))
    return Recording(device, tuple(frames), fusion, room_to_scan)


def imu_samples(recording: Recording, rng: np.random.Generator) -> NDArray[np.void]:
    """Two IMU samples (2 F,) of IMU_SAMPLE for each frame: gravity and noise of the right size."""
    samples = np.zeros(2 * len(recording.frames), IMU_SAMPLE)
    n = len(samples)
    down = np.array([0.0, 1.0, 0.0]) + rng.normal(0.0, 0.05, (n, 3))  # the camera's y points down
    samples["gravity"] = down / np.linalg.norm(down, axis=1, keepdims=True)
    samples["acceleration"] = rng.normal(0.0, 0.05, (n, 3))
    samples["rotation_rate"] = rng.normal(0.0, 0.2, (n, 3))
    samples["magnetic_field"] = rng.normal(0.0, 30.0, (n, 3))
    samples["attitude"] = rng.uniform(-np.pi, np.pi, (n, 3))
    step = _SEEN_PER_STORED * _FRAME_TIME // 2
    samples["timestamp"] = step * np.arange(n)
    return samples


def _draw_sensor(
    color_size: tuple[int, int], depth_size: tuple[int, int], rng: np.random.Generator
) -> Sensor:
    """A calibrated device like ScanNet's, slightly different each time; all values fit f32."""
    color = np.eye(3)
    color[[0, 1], [0, 1]] = np.array(_FOCAL) * color_size * rng.uniform(0.985, 1.015)
    color[:2, 2] = (np.array(color_size) - 1) / 2 * rng.uniform(0.985, 1.015, 2)
    color = color.astype(np.float32).astype(np.float64)
    depth = depth_intrinsics(color, color_size, depth_size).astype(np.float32).astype(np.float64)
    return Sensor(color_size, depth_size, color, depth)


def _draw_placement(outline: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """room_to_scan (4, 4): rotated about z, a corner of its box near the origin, as in ScanNet."""
    angle = rng.uniform(0.0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    room_to_scan = np.eye(4)
    room_to_scan[:2, :2] = turn
    room_to_scan[:2, 3] = -(outline @ turn.T).min(0)
    room_to_scan[:3, 3] += rng.uniform(-0.03, 0.03, 3)
    return room_to_scan
