"""Images and points that meet, or do not: of another place, another unit, another recording."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from pipeline.errors import BadInput
from pipeline.geometry.cameras import transform, unproject
from pipeline.readers.folder import witnesses
from pipeline.readers.folder.fuse import require_agreement
from pipeline.scan import Cloud
from pipeline.stages import frames, projections, voxels
from tests.helpers import room
from tests.other_files import Variant

SETTINGS = {**room.PROJECTIONS, "max_offset": 0.3, "min_seen": 0.01}  # the defaults
TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # by 90 degrees about z
MIDDLE = np.array([2.0, 1.5, 1.25])
ASIDE = np.array([9.0, 0, 0])
FRAMES = 8

Points = Callable[[np.ndarray], np.ndarray]
Recorded = Callable[[room.Recording], room.Recording]


@cache
def recorded() -> room.Recording:
    """Frames of the room of planes, of depth 32 x 24."""
    return room.recording(FRAMES, (32, 24), (32, 24))


@cache
def points() -> Cloud:
    """Its surface."""
    return room.cloud(0.2)


def _noise(xyz: np.ndarray, metres: float) -> np.ndarray:
    return xyz + np.random.default_rng(0).normal(0, metres, xyz.shape)


def _poses(raw: room.Recording, change: Callable[[np.ndarray], np.ndarray]) -> room.Recording:
    return replace(raw, poses=np.array([change(pose) for pose in raw.poses]))


def _moved(pose: np.ndarray, scale: float = 1.0, by: float = 0.0) -> np.ndarray:
    pose = pose.copy()
    pose[:3, 3] = pose[:3, 3] * scale + by
    return pose


def _depth(raw: room.Recording, scale: float) -> room.Recording:
    return replace(raw, depth=np.rint(raw.depth * scale).clip(0, 65535).astype(np.uint16))


def _shuffled(raw: room.Recording) -> room.Recording:
    return replace(raw, poses=raw.poses[[3, 0, 5, 1, 7, 2, 4, 6]])


RIGHT_POINTS: dict[str, Points] = {
    "as they are": lambda xyz: xyz,
    "with noise of 1 cm": partial(_noise, metres=0.01),
    "2 cm away": lambda xyz: xyz + 0.012,
    "every third": lambda xyz: xyz[::3],
    "in another order": lambda xyz: xyz[::-1],
    "with a room beside it that no frame saw": lambda xyz: np.concatenate([xyz, xyz + ASIDE]),
}
WRONG_POINTS: dict[str, Points] = {
    "of a place 100 m away": lambda xyz: xyz + 100,
    "of a room beside it": lambda xyz: xyz + ASIDE,
    "a metre too high": lambda xyz: xyz + np.array([0, 0, 1]),
    "a metre to the side": lambda xyz: xyz + np.array([0.8, 0.8, 0]),
    "in millimetres": lambda xyz: xyz * 1000,
    "in centimetres": lambda xyz: xyz * 100,
    "in feet": lambda xyz: xyz / 0.3048,
    "a tenth as large": lambda xyz: xyz / 10,
    "turned by 90 degrees": lambda xyz: (xyz - MIDDLE) @ TURN.T + MIDDLE,
    "turned by 90 degrees about the origin": lambda xyz: xyz @ TURN.T,
    "mirrored": lambda xyz: xyz * (-1, 1, 1),
    "with y and z exchanged": lambda xyz: xyz[:, [0, 2, 1]],
    "with x and z exchanged": lambda xyz: xyz[:, [2, 1, 0]],
    "in the order y, z, x": lambda xyz: xyz[:, [1, 2, 0]],
    "mirrored about its middle": lambda xyz: (xyz - MIDDLE) * (1, -1, 1) + MIDDLE,
    "all in one place": lambda xyz: xyz * 0 + 0.5,
    "on a sphere": lambda xyz: 20 * (xyz - MIDDLE) / np.linalg.norm(xyz - MIDDLE, axis=1)[:, None],
}
RIGHT_FRAMES: dict[str, Recorded] = {
    "as they are": lambda raw: raw,
    "depth with 1 % too much": partial(_depth, scale=1.01),
    "positions off by 1 cm": lambda raw: _poses(raw, partial(_moved, by=0.005)),
}
WRONG_FRAMES: dict[str, Recorded] = {
    "depth in 1/5000 m": partial(_depth, scale=5.0),
    "depth in 1/10000 m": partial(_depth, scale=10.0),
    "depth doubled": partial(_depth, scale=2.0),
    "depth halved": partial(_depth, scale=0.5),
    "depth in centimetres": partial(_depth, scale=0.1),
    "positions 3.7 times too large": lambda raw: _poses(raw, partial(_moved, scale=3.7)),
    "positions in millimetres": lambda raw: _poses(raw, partial(_moved, scale=1000.0)),
    "poses inverted": lambda raw: _poses(raw, np.linalg.inv),
    "axes of OpenGL": lambda raw: _poses(raw, lambda pose: pose @ np.diag([1.0, -1, -1, 1])),
    "of other frames": _shuffled,
}


def check_projected(folder: Path, xyz: Points, raw: Recorded, meets: bool) -> None:
    """The stage gives pairs of what meets, and refuses what does not."""
    moved = xyz(points().xyz.astype(float)).astype(np.float32)
    every = np.full(len(moved), -1, np.int32)
    cloud = Cloud(moved, np.zeros(moved.shape, np.uint8), np.zeros_like(moved), every)
    kept = room.run(frames, {"every": 1}, raw=raw(recorded()))
    try:
        made = room.run(voxels, {"voxel_size": 0.1}, raw=cloud)
        found = room.run(projections, SETTINGS, frames=kept, voxels=made)
    except BadInput as error:  # the stage is not told the path, its job adds the scan's name
        raise BadInput(folder, str(error).rstrip("."), "see there") from None
    assert meets, "it was read without a word"
    seen = np.unique(np.asarray(found["voxel"]))
    assert len(seen) > 0.15 * len(np.asarray(made["voxel_xyz"]))


def check_fused(folder: Path, raw: Recorded, meets: bool) -> None:
    """Frames that agree give the points of all of them, and others are no cloud."""
    recording = raw(recorded())
    k = recording.depth_intrinsics
    try:
        require_agreement(recording)
        seen, xyz = [], []
        for depth, pose in zip(recording.depth / 1000.0, recording.poses, strict=True):
            seen.append(witnesses.witness(depth, k, pose))
            v, u = np.nonzero((depth > 0) & (depth < 5))
            at = unproject(k, np.column_stack([u, v]).astype(float), depth[v, u])
            xyz.append(transform(pose, at))
        stay = witnesses.kept(seen, np.concatenate(xyz))
    except BadInput as error:
        raise BadInput(folder, str(error).rstrip("."), "see there") from None
    assert meets, "it was read without a word"
    assert stay.mean() > 0.98


def _projected(xyz: str, raw: str) -> Variant:
    meets = xyz in RIGHT_POINTS and raw in RIGHT_FRAMES
    change, recorded_as = (RIGHT_POINTS | WRONG_POINTS)[xyz], (RIGHT_FRAMES | WRONG_FRAMES)[raw]
    check = partial(check_projected, xyz=change, raw=recorded_as, meets=meets)
    return Variant(f"points {xyz}, frames {raw}", check, may_be_refused=not meets)


def _fused(raw: str) -> Variant:
    meets = raw in RIGHT_FRAMES
    check = partial(check_fused, raw=(RIGHT_FRAMES | WRONG_FRAMES)[raw], meets=meets)
    return Variant(f"fused, frames {raw}", check, may_be_refused=not meets)


def _one(*tables: Iterable[str]) -> st.SearchStrategy[str]:
    return st.sampled_from([name for table in tables for name in table])


VARIANTS = st.one_of(
    st.builds(_projected, _one(RIGHT_POINTS), _one(RIGHT_FRAMES)),
    st.builds(_projected, _one(WRONG_POINTS), _one(RIGHT_FRAMES)),
    st.builds(_projected, _one(RIGHT_POINTS), _one(WRONG_FRAMES)),
    st.builds(_fused, _one(RIGHT_FRAMES, WRONG_FRAMES)),
)
