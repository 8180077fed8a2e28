"""Poses and intrinsics as programs write them, right or mistaken, in every layout with matrices."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from pipeline.errors import BadInput
from pipeline.readers.folder.files import scan_files
from pipeline.readers.folder.frames import open_frames
from pipeline.readers.scannet.exported import ExportedFrames, exported_names
from pipeline.scan import RawFrames
from tests.helpers.room_frames import COLOR_SIZE, K_COLOR, frames, put
from tests.helpers.tiny_folders import write_export, write_own
from tests.other_files import Variant

Change = Callable[[np.ndarray], np.ndarray]
FRAMES = frames(6, whole=True)
MIRROR = np.diag([1.0, 1, -1, 1])


def _scaled(pose: np.ndarray, scale: float) -> np.ndarray:
    return pose @ np.diag([scale, scale, scale, 1])


def _last_row(pose: np.ndarray, row: list[float]) -> np.ndarray:
    return np.vstack([pose[:3], row])


def _sheared(pose: np.ndarray) -> np.ndarray:
    shear = np.eye(4)
    shear[0, 1] = 0.4
    return pose @ shear


def _at(row: int, column: int, value: float) -> Change:
    def changed(matrix: np.ndarray) -> np.ndarray:
        matrix = matrix.copy()
        matrix[row, column] = value
        return matrix

    return changed


RIGHT_POSES: dict[str, Change] = {
    "as they are": lambda pose: pose,
    "in single precision": lambda pose: pose.astype(np.float32).astype(float),
    "with 4 decimals": lambda pose: pose.round(4),
    "with 3 decimals": lambda pose: pose.round(3),
}
WRONG_POSES: dict[str, Change] = {
    "transposed": lambda pose: pose.T,
    "left-handed": lambda pose: pose @ MIRROR,
    "mirrored world": lambda pose: MIRROR @ pose,
    "1e300 m away": _at(0, 3, 1e300),
    "scaled by 2": partial(_scaled, scale=2.0),
    "scaled by 1.2": partial(_scaled, scale=1.2),
    "in millimetres with rotation": partial(_scaled, scale=1000.0),
    "last row 0 0 0 0": partial(_last_row, row=[0, 0, 0, 0]),
    "last row 0 0 0 2": partial(_last_row, row=[0, 0, 0, 2]),
    "last row 1 2 3 1": partial(_last_row, row=[1, 2, 3, 1]),
    "sheared": _sheared,
    "with an axis of another length": _at(0, 0, 7.0),
}
RIGHT_CAMERAS: dict[str, Change] = {
    "as it is": lambda k: k,
    "with 2 decimals": lambda k: k.round(2),
    "principal point off the centre": _at(0, 2, 6.0),
    "other focal lengths": _at(1, 1, 40.0),
}
WRONG_CAMERAS: dict[str, Change] = {
    "transposed": lambda k: k.T,
    "third row 0 0 0": _at(2, 2, 0.0),
    "third row 1 0 1": _at(2, 0, 1.0),
    "lower triangle": _at(1, 0, 3.0),
    "negative focal length": _at(0, 0, -25.0),
    "no focal length": _at(1, 1, 0.0),
    "skew": _at(0, 1, 4.0),
    "NaN": _at(0, 2, np.nan),
    "infinite": _at(0, 0, np.inf),
    "principal point right of the image": _at(0, 2, 40.0),
    "principal point above the image": _at(1, 2, -9.0),
    "of images of a 20th of the size": lambda k: np.diag([0.05, 0.05, 1]) @ k,
    "as shares of the image": lambda k: np.diag([1 / 32, 1 / 24, 1]) @ k,
    "of images of 4 times the size": lambda k: np.diag([4.0, 4, 1]) @ k,
}


def _open(folder: Path, reader: str) -> RawFrames:
    if reader == "scannet":
        return ExportedFrames(exported_names(folder))
    return open_frames(scan_files(folder.parent, folder.name)["frames"])


def _write(folder: Path, reader: str, pose: Change, camera: Change) -> None:
    (write_export if reader == "scannet" else write_own)(folder, FRAMES)
    for frame in FRAMES:
        put(folder / f"pose/{frame.frame_id:05d}.txt", pose(frame.camera_to_world))
    if reader == "scannet":
        matrix = np.eye(4)
        matrix[:3, :3] = camera(K_COLOR)
        put(folder / "intrinsic/intrinsic_color.txt", matrix)
    else:
        put(folder / "intrinsics.txt", camera(K_COLOR))


def check_right(folder: Path, reader: str, pose: str, camera: str) -> None:
    """Poses and intrinsics are read as they are written."""
    scan = folder / "scan"
    _write(scan, reader, RIGHT_POSES[pose], RIGHT_CAMERAS[camera])
    raw = _open(scan, reader)
    assert raw.color_size == COLOR_SIZE
    assert np.array_equal(raw.color_intrinsics, RIGHT_CAMERAS[camera](K_COLOR))
    for frame in FRAMES:
        written = RIGHT_POSES[pose](frame.camera_to_world)
        assert np.array_equal(raw.pose(frame.frame_id), written)


def check_wrong(folder: Path, reader: str, pose: str | None, camera: str | None) -> None:
    """It is refused, when it is opened or when its frames are made."""
    import zarr

    from pipeline.stages import frames as stage

    scan = folder / "scan"
    changes = WRONG_POSES[pose] if pose else RIGHT_POSES["as they are"]
    _write(scan, reader, changes, WRONG_CAMERAS[camera] if camera else RIGHT_CAMERAS["as it is"])
    try:
        stage.Worker({"every": 1})(
            zarr.create_group(zarr.storage.MemoryStore()), _open(scan, reader)
        )
    except BadInput as error:  # the stage is not told the path, its job adds the scan's name
        raise BadInput(scan, str(error).rstrip("."), "see there") from None
    raise AssertionError("it was read without a word")


READERS = st.sampled_from(["folder", "scannet"])


def _right(reader: str, pose: str, camera: str) -> Variant:
    about = f"{reader}, poses {pose}, intrinsics {camera}"
    return Variant(about, partial(check_right, reader=reader, pose=pose, camera=camera))


def _wrong(reader: str, pose: str | None, camera: str | None) -> Variant:
    about = f"{reader}, poses {pose or 'right'}, intrinsics {camera or 'right'}"
    check = partial(check_wrong, reader=reader, pose=pose, camera=camera)
    return Variant(about, check, may_be_refused=True)


VARIANTS = st.one_of(
    st.builds(_right, READERS, st.sampled_from([*RIGHT_POSES]), st.sampled_from([*RIGHT_CAMERAS])),
    st.builds(_wrong, READERS, st.sampled_from([*WRONG_POSES]), st.none()),
    st.builds(_wrong, READERS, st.none(), st.sampled_from([*WRONG_CAMERAS])),
)
