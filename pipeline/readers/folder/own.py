"""This project's own layout, which ScanNet's exporters write too.

    color/<i>.jpg or .png   depth/<i>.png (16 bit, mm)   pose/<i>.txt (4 x 4, camera to world)

with the intrinsics (3 x 3 or 4 x 4) of both images in `intrinsics.txt`, or in one file each:
`intrinsic/intrinsic_color.txt` and `intrinsic/intrinsic_depth.txt`, or `intrinsics_color.txt` and
`intrinsics_depth.txt`. Without a file for the depth, those of colour are scaled.
"""

from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.readers.folder.recording import Recording, View
from pipeline.readers.folder.values import FIX, Array, read_intrinsics, read_pose

NAME = "color/, depth/, pose/ and intrinsics (this project's, and ScanNet's export)"

_KINDS = {"color": (".jpg", ".jpeg", ".png"), "depth": (".png",), "pose": (".txt",)}
_SHARED = ("intrinsics.txt", "intrinsic.txt", "camera-intrinsics.txt")


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    found = {name: path for name, path in names.items() if _frame(name) is not None}
    if {name.partition("/")[0] for name in found} != set(_KINDS):
        return {}
    return found | {n: names[n] for kind in ("color", "depth") for n in _own(kind) if n in names}


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files. Raises `BadInput` where a frame lacks one of its three files."""
    frames: dict[int, dict[str, Path]] = {}
    for name, path in files.items():
        if (frame_id := _frame(name)) is not None:
            kind, frame = name.partition("/")[0], frames.setdefault(frame_id, {})
            if kind in frame:
                raise BadInput(path, f"is the second {kind} file of frame {frame_id}", FIX)
            frame[kind] = path
    for frame in frames.values():
        if lacking := [kind for kind in _KINDS if kind not in frame]:
            what = f"has no {' and no '.join(lacking)} file beside it"
            raise BadInput(next(iter(frame.values())), what, FIX)
    color, depth = _intrinsics(files, "color"), _intrinsics(files, "depth", shared=False)
    if color is None:
        folder = next(iter(files.values())).parent.parent
        raise BadInput(folder, "has no intrinsics.txt", "write the 3 x 3 intrinsics into it")
    views = [View(i, f["color"], f["depth"], read_pose(f["pose"])) for i, f in frames.items()]
    return Recording(sorted(views, key=lambda view: view.frame_id), color, depth)


def _frame(name: str) -> int | None:
    kind, _, file = name.partition("/")
    stem, dot, ending = file.rpartition(".")
    valid = stem.isascii() and stem.isdecimal() and len(stem) < 16
    return int(stem) if valid and (dot + ending).lower() in _KINDS.get(kind, ()) else None


def _own(kind: str, shared: bool = True) -> tuple[str, ...]:
    own = (f"intrinsic/intrinsic_{kind}.txt", f"intrinsics_{kind}.txt")
    return own + (_SHARED if shared else ())


def _intrinsics(files: Mapping[str, Path], kind: str, shared: bool = True) -> Array | None:
    return next((read_intrinsics(files[n]) for n in _own(kind, shared) if n in files), None)
