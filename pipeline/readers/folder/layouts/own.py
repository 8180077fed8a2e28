"""This project's own layout, which ScanNet's exporters and many programs write too.

    color/<i>.jpg, .png or .webp   pose/<i>.txt (camera to world)
    depth/<i>.png, .tiff or .npy (integers in mm, or floats in m), or .exr

or `rgb/`, `image/`, `images/`, `depths/`, `poses/`; files of a frame share the number in their
names (`frame_0012.jpg`). A pose is a matrix of 4 x 4 or 3 x 4. The intrinsics of both images are in
`intrinsics.txt`, or in one file each: `intrinsic/intrinsic_color.txt` and
`intrinsic/intrinsic_depth.txt`, or `intrinsics_color.txt` and `intrinsics_depth.txt`. Without a
file for the depth, those of colour are scaled. Without such texts a camera as JSON counts, which
may say the unit of depth.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.readers.folder.camera_json import PATTERN, camera_in, camera_names
from pipeline.readers.folder.pairing import (
    COLOR,
    COLOR_ENDINGS,
    DEPTH,
    DEPTH_ENDINGS,
    POSE,
    Group,
    in_folder,
    paired,
)
from pipeline.readers.folder.recording import Recording
from pipeline.readers.folder.values import Array, read_intrinsics, read_pose
from pipeline.readers.folder.views import View

NAME = "color/ (or rgb/), depth/, pose/ and intrinsics (this project's, and ScanNet's export)"

PARTS = {
    "color/ (or rgb/)": r"(colou?r|rgb|images?|img|imgs)/[^/]*[0-9][^/]*\.(jpe?g|png|webp)",
    "depth/": r"depths?/[^/]*[0-9][^/]*\.(png|tiff?|npy|exr)",
    "pose/": r"poses?/[^/]*[0-9][^/]*\.txt",
    "intrinsics.txt": rf"(intrinsics?/[^/]*|[^/]*intrinsics?[^/]*|K)\.txt|{PATTERN}",
}

MILLIMETRES = 1000.0  # in a metre: the unit of depth that is not said
SHARED = (
    "intrinsics.txt",
    "intrinsic.txt",
    "camera-intrinsics.txt",
    "camera_intrinsics.txt",
    "K.txt",
)


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    kinds = _kinds(names)
    if not all(kinds.values()):
        return {}
    found = {name: path for files in kinds.values() for name, path in files.items()}
    return found | intrinsics_files(names)


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files. Raises `BadInput` where a frame lacks one of its three files."""
    frames = paired(_kinds(files))
    views = [View(i, f["color"], f["depth"], read_pose(f["pose"])) for i, f in frames.items()]
    return recording(views, files)


def intrinsics_files(names: Mapping[str, Path]) -> Group:
    """The files of intrinsics among those of a folder: texts, or else a camera as JSON."""
    texts = {n: names[n] for kind in ("color", "depth") for n in _own(kind) if n in names}
    return texts or {name: names[name] for name in camera_names(names)}


def recording(views: Sequence[View], files: Mapping[str, Path]) -> Recording:
    """The recording of `views` with the camera that is in the files of its folder.

    Raises `BadInput` where there is none, or several as JSON.
    """
    color, depth = _intrinsics(files, "color"), _intrinsics(files, "depth", shared=False)
    if color is not None:
        return Recording(views, color, depth)
    camera = camera_in(files)
    if camera is None:
        name, path = next(iter(files.items()))
        folder = path.parents[name.count("/")]
        raise BadInput(folder, "has no intrinsics.txt", "write the 3 x 3 intrinsics into it")
    scale = camera.depth_scale or MILLIMETRES
    return Recording(views, camera.intrinsics, intrinsics_size=camera.size, depth_scale=scale)


def _kinds(names: Mapping[str, Path]) -> dict[str, Group]:
    return {
        "color": in_folder(names, COLOR, COLOR_ENDINGS),
        "depth": in_folder(names, DEPTH, DEPTH_ENDINGS),
        "pose": in_folder(names, POSE, (".txt",)),
    }


def _own(kind: str, shared: bool = True) -> tuple[str, ...]:
    own = (f"intrinsic/intrinsic_{kind}.txt", f"intrinsics_{kind}.txt")
    return own + (SHARED if shared else ())


def _intrinsics(files: Mapping[str, Path], kind: str, shared: bool = True) -> Array | None:
    return next((read_intrinsics(files[n]) for n in _own(kind, shared) if n in files), None)
