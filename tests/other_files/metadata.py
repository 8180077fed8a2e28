"""What lies beside the images: cameras, units of depth, confidence, which way is up."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import lzfse
import numpy as np
from hypothesis import strategies as st

from pipeline.geometry.cameras import scale_intrinsics
from pipeline.readers.folder.files import scan_files
from pipeline.readers.folder.frames import open_frames
from pipeline.readers.folder.recording import FolderFrames
from pipeline.scan import Frame
from tests.helpers.room_frames import COLOR_SIZE, DEPTH_SIZE, Y_UP, encoded, frames, put
from tests.helpers.tiny_folders import write_open3d, write_record3d, write_tum
from tests.other_files import Variant

K = np.array([[31.0, 0, 15.2], [0, 30.5, 11.7], [0, 0, 1]])  # no sensor's usual one
TURNED = {
    "z": np.eye(4),
    "y": Y_UP,
    "-y": np.diag([1.0, -1, -1, 1]) @ Y_UP,
}


@cache
def recorded() -> list[Frame]:
    """Frames of the room of planes."""
    return frames(4, whole=True)


def opened(scan: Path) -> FolderFrames:
    """The frames of a folder."""
    return open_frames(scan_files(scan.parent, scan.name)["frames"])


def check_info(folder: Path, name: str, scale: float, pgm: bool, lines: str) -> None:
    """The camera and the unit of depth are those of `info.txt`."""
    scan, unit = folder / "scan", scale / 1000
    for f in recorded():
        stem = scan / f"frame-{f.frame_id:06d}"
        put(stem.with_suffix(".color.jpg"), f.color)
        depth = (f.depth * unit).astype(np.uint16)
        if pgm:
            head = f"P5\n# a comment\n{depth.shape[1]} {depth.shape[0]}\n65535\n".encode()
            put(stem.with_suffix(".depth.pgm"), head + depth.astype(">u2").tobytes())
        else:
            put(stem.with_suffix(".depth.png"), encoded(depth, "PNG"))
        put(stem.with_suffix(".pose.txt"), f.camera_to_world)
    k_depth = scale_intrinsics(K, COLOR_SIZE, DEPTH_SIZE)
    text = "m_versionNumber = 4\nm_sensorName = x = y\n"
    for kind, size, k in (("Color", COLOR_SIZE, K), ("Depth", DEPTH_SIZE, k_depth)):
        text += f"m_{kind.lower()}Width = {size[0]}\nm_{kind.lower()}Height = {size[1]}\n"
        whole = np.eye(4)
        whole[:3, :3] = k
        text += f"m_calibration{kind}Intrinsic = {' '.join(map(repr, whole.ravel().tolist()))} \n"
    put(scan / name, (text + f"m_depthShift = {scale:g}\n").replace("\n", lines))
    raw = opened(scan)
    assert np.allclose(raw.color_intrinsics, K)
    assert np.allclose(raw.depth_intrinsics, k_depth)
    assert raw.depth_scale == scale
    for f in recorded():
        found = raw.read(f.frame_id).depth / scale
        assert np.abs(found - f.depth / 1000).max() <= 1 / scale


def check_open3d(folder: Path, scale: float | None, other: str | None) -> None:
    """`depth_scale` in the camera is the unit; a JSON file without a camera is passed over."""
    scan, unit = folder / "scan", (scale or 1000) / 1000
    write_open3d(scan, [replace(f, depth=(f.depth * unit).astype(np.uint16)) for f in recorded()])
    (camera,) = scan.glob("*.json")
    content = json.loads(camera.read_text()) | ({"depth_scale": scale} if scale else {})
    put(camera, json.dumps(content))
    if other:
        put(scan / other, json.dumps({"class_name": "PinholeCameraTrajectory", "parameters": []}))
    raw = opened(scan)
    assert raw.depth_scale == (scale or 1000)
    for f, i in zip(recorded(), raw.frame_ids, strict=True):
        assert np.abs(raw.read(i).depth / raw.depth_scale - f.depth / 1000).max() <= 1.1e-3 / unit


def check_up(folder: Path, up: str) -> None:
    """The cameras tell which axis of a trajectory's world is up."""
    turn = TURNED[up]
    turned = [replace(f, camera_to_world=turn @ f.camera_to_world) for f in recorded()]
    write_tum(folder / "scan", turned)
    raw = opened(folder / "scan")
    ups = np.mean([-raw.pose(i)[:3, 1] for i in raw.frame_ids], axis=0)
    assert ups.argmax() == 2


def check_confidence(folder: Path, packed: bool, low: float) -> None:
    """Depth that Record3D calls a guess is not measured."""
    scan, rng = folder / "scan", np.random.default_rng(0)
    write_record3d(scan, recorded())
    sure = {f.frame_id: (rng.random(f.depth.shape) >= low) * np.uint8(2) for f in recorded()}
    for i, values in sure.items():
        raw_bytes = values.astype(np.uint8).tobytes()
        put(scan / f"rgbd/{i}.conf", lzfse.compress(raw_bytes) if packed else raw_bytes)
    raw = opened(scan)
    for f in recorded():
        assert np.array_equal(raw.read(f.frame_id).depth, np.where(sure[f.frame_id], f.depth, 0))


def _variant(about: str, check: Callable[..., None], **given: object) -> Variant:
    told = ", ".join(f"{name} {value!r}" for name, value in given.items())
    return Variant(f"{about}: {told}", partial(check, **given))


VARIANTS = st.one_of(
    st.builds(
        lambda name, scale, pgm, lines: _variant(
            "info.txt", check_info, name=name, scale=scale, pgm=pgm, lines=lines
        ),
        st.sampled_from(["info.txt", "_info.txt"]),
        st.sampled_from([1000.0, 5000.0, 4000.0, 256.0]),
        st.booleans(),
        st.sampled_from(["\n", "\r\n"]),
    ),
    st.builds(
        lambda scale, other: _variant("Open3D", check_open3d, scale=scale, other=other),
        st.sampled_from([None, 1000.0, 4000.0, 5000.0, 6553.5]),
        st.sampled_from([None, "camera_trajectory.json", "my_camera.json"]),
    ),
    st.builds(lambda up: _variant("TUM", check_up, up=up), st.sampled_from([*TURNED])),
    st.builds(
        lambda packed, low: _variant("Record3D", check_confidence, packed=packed, low=low),
        st.booleans(),
        st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    ),
)
