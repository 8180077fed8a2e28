"""`transforms.json` of nerfstudio, instant-ngp and NeRFCapture, with depth images.

    transforms.json   the images that it names, `file_path` and `depth_file_path` (or `depth_path`)

`transform_matrix` is camera to world with OpenGL's axes; `fl_x`, `fl_y`, `cx`, `cy`, `w` and `h`
are those of all frames or of each. `depth_unit_scale_factor` or `integer_depth_scale` are the
metres of a unit of depth, else a millimetre. Positions were multiplied by `applied_scale`.
"""

import math
import posixpath
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BadInput
from pipeline.readers.folder.conventions import (
    UNDISTORT,
    one_size,
    pose_from,
    require_straight,
    units_per_metre,
)
from pipeline.readers.folder.pairing import COLOR_ENDINGS, DEPTH_ENDINGS
from pipeline.readers.folder.recording import Recording, common_size
from pipeline.readers.folder.values import (
    FIX,
    Array,
    Size,
    checked_intrinsics,
    image_size_in,
    numbers,
    pinhole,
    read_json,
    read_text,
)
from pipeline.readers.folder.views import View

NAME = "transforms.json that names depth images (nerfstudio, NeRFCapture)"
FILE = "transforms.json"
PARTS = {
    FILE: r"transforms\.json",
    "depth_file_path of each frame in it": "",
    "the images that it names": r".*/[^/]*\.(jpe?g|png)",
}

_DEPTH = ("depth_file_path", "depth_path")
_UNITS = ("depth_unit_scale_factor", "integer_depth_scale")
_STRAIGHT = ("PINHOLE", "SIMPLE_PINHOLE", "OPENCV", "PERSPECTIVE", "RADIAL", "SIMPLE_RADIAL")
_BENT = ("k1", "k2", "k3", "p1", "p2")


def select(names: Mapping[str, Path]) -> dict[str, Path]:
    """The files of this layout among those of a folder; empty if it has another layout."""
    if FILE not in names or not _names_depth(names[FILE]):
        return {}
    endings = (*COLOR_ENDINGS, *DEPTH_ENDINGS)
    return {n: p for n, p in names.items() if n == FILE or n.lower().endswith(endings)}


def read(files: Mapping[str, Path]) -> Recording:
    """The recording in the files: the frames that have a depth image. Raises `BadInput`."""
    where = files[FILE]
    values = read_json(where)
    frames = values.get("frames")
    if not isinstance(frames, list) or not all(isinstance(each, dict) for each in frames):
        raise BadInput(where, "does not contain a list of frames", FIX)
    scale = _positive(values, "applied_scale", where)
    views: list[View] = []
    cameras: list[Array] = []
    sizes: list[Size] = []
    deep = {
        i: next((own[key] for key in _DEPTH if own.get(key)), None) for i, own in enumerate(frames)
    }
    colors = {
        i: _image(files, own.get("file_path"), COLOR_ENDINGS, where)
        for i, own in enumerate(frames)
        if deep[i] is not None
    }
    for i, color in colors.items():
        own, depth = frames[i], deep[i]
        matrix = numbers(_flat(own.get("transform_matrix")), (12, 16), where, "a transform_matrix")
        pose = pose_from(matrix.reshape(-1, 4), "opengl")
        pose[:3, 3] /= scale
        views.append(View(i, color, _image(files, depth, DEPTH_ENDINGS, where), pose))
        both = values | own
        sizes.append(_size(both, [*colors.values()], sizes, where))
        cameras.append(_camera(both, sizes[-1], where))
    if not views:
        raise BadInput(where, "names no depth image", "add depth_file_path to its frames")
    unit = next((key for key in _UNITS if key in values), None)
    same = all(np.array_equal(each, cameras[0]) for each in cameras)
    return Recording(
        views,
        cameras[0] if same else np.stack(cameras),
        intrinsics_size=one_size(sizes, where),
        depth_scale=units_per_metre(values[unit], where, unit) if unit else 1000.0,
    )


def _names_depth(path: Path) -> bool:
    try:
        text = read_text(path)
    except BadInput:
        return True  # `read` says what is wrong with it
    return any(f'"{key}"' in text for key in _DEPTH)


def _flat(rows: Any) -> Any:
    """The numbers of a list of rows; what is no such list as it is."""
    nested = isinstance(rows, list) and all(isinstance(row, list) for row in rows)
    return [value for row in rows for value in row] if nested else rows


def _image(files: Mapping[str, Path], name: Any, endings: tuple[str, ...], where: Path) -> Path:
    """The file that a frame names, with its ending or (NeRFCapture) without."""
    plain = posixpath.normpath(str(name).replace("\\", "/"))
    places = [plain]
    if plain.startswith("/") or plain[1:2] == ":":  # on another machine: its folder and name count
        places.append("/".join(plain.split("/")[-2:]))
    for place, ending in product(places, ("", *endings)):
        if place + ending in files:
            return files[place + ending]
    raise BadInput(where, f"names {str(name)!r}, which is no image here", FIX)


def _size(values: Mapping[str, Any], colors: list[Path], known: list[Size], where: Path) -> Size:
    if "w" in values or "h" in values:
        whole = {
            k: int(v) if isinstance(v, float) and v == int(v) else v
            for k, v in values.items()
            if k in ("w", "h")
        }
        return image_size_in(whole, "w", "h", where)
    return known[0] if known else common_size(colors)


def _camera(values: Mapping[str, Any], size: Size, where: Path) -> Array:
    """Intrinsics (3, 3), from focal lengths or from the angle that the image spans."""
    model = values.get("camera_model", "OPENCV")
    if values.get("is_fisheye"):
        model = "fisheye"
    if model not in _STRAIGHT:
        raise BadInput(where, f"has the camera model {model}, no pinhole", UNDISTORT)
    focal = values.get("fl_x", _focal(values.get("camera_angle_x"), size[0]))
    other = values.get("fl_y", _focal(values.get("camera_angle_y"), size[1]) or focal)
    centre = [values.get("cx", (size[0] - 1) / 2), values.get("cy", (size[1] - 1) / 2)]
    given = numbers([focal, other, *centre], (4,), where, "fl_x, fl_y, cx and cy")
    camera = checked_intrinsics(pinhole(*given), where)
    bent = numbers([values.get(key, 0) for key in _BENT], (len(_BENT),), where, "k1 to p2")
    require_straight(dict(zip(_BENT, bent, strict=True)), camera, size, where)
    return camera


def _focal(angle: Any, side: int) -> float | None:
    known = isinstance(angle, int | float) and 0 < angle < math.pi
    return 0.5 * side / math.tan(angle / 2) if known else None


def _positive(values: Mapping[str, Any], name: str, where: Path) -> float:
    """A factor, 1 where there is none."""
    (value,) = numbers([values.get(name, 1.0)], (1,), where, f"a number {name}")
    if not (value > 0 and np.isfinite(value)):
        raise BadInput(where, f"has the {name} {value}", FIX)
    return float(value)
