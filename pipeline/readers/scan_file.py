"""A scan in one file of points or triangles, in any format that is read."""

from importlib import import_module
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.readers.points import Points

# Ending -> its module, which loads a library that may be slow, and what messages call it
_FORMATS = {
    ".ply": ("ply", "read_ply", "a PLY file"),
    ".las": ("las", "read_las", "a LAS file"),
    ".laz": ("las", "read_las", "a LAZ file"),
    ".obj": ("meshes", "read_mesh", "an OBJ file"),
    ".glb": ("meshes", "read_mesh", "a GLB file"),
    ".gltf": ("meshes", "read_mesh", "a glTF file"),
    ".stl": ("meshes", "read_mesh", "an STL file"),
}
_Y_UP = (".glb", ".gltf")  # by their specification


def read_scan_file(path: Path) -> tuple[Points, str, str]:
    """The points of a file in its coordinates, what it was read as, and the axis that points up.

    The format is known by the ending, and PLY by its first bytes. Raises `BadInput` for an unknown
    or damaged one.
    """
    ending = path.suffix.lower()
    if ending not in _FORMATS and _begins_as_ply(path):
        ending = ".ply"
    if ending not in _FORMATS:
        endings = ", ".join(_FORMATS)
        what = f"has the ending {ending!r}, which is none of a cloud or a mesh that is read"
        raise BadInput(path, what, f"save it as one of {endings}, or give the folder of a scan")
    module, function, kind = _FORMATS[ending]
    try:
        read = getattr(import_module(f"pipeline.readers.{module}"), function)
    except ImportError as error:
        what = f"needs a package that is not installed ({error.name})"
        raise BadInput(path, what, f"pip install {error.name}, or save it as PLY") from error
    return read(path), kind, "y" if ending in _Y_UP else "z"


def _begins_as_ply(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"ply\n", b"ply\r")
    except OSError:
        return False
