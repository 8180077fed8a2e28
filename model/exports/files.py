"""The files of the ScanNet benchmarks: `<scan>.txt` with an id for each vertex, and a zip of all.

Source: the benchmark's documentation, and `BenchmarkScripts/3d_evaluation` of
github.com/ScanNet/ScanNet: one integer a line, in the order of the vertices of
`<scan>_vh_clean_2.ply`; the files are in the root of the zip.
"""

import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput
from pipeline.whole_file import whole_file

_EPOCH = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # the time of each file in a zip, so that equal files make equal zips


def write_ids(path: Path, ids: NDArray[np.integer]) -> None:
    """Write an id (N,) a line, atomically. Raises `BadInput` if the file cannot be written."""
    text = "".join(f"{number}\n" for number in ids.tolist())
    with whole_file(path) as partial:
        partial.write_text(text, encoding="ascii")


def read_ids(path: Path, vertices: int, valid: Collection[int]) -> NDArray[np.int64]:
    """The ids (N,) in a file, which has to be as the benchmark wants it.

    Raises `BadInput` for a file that cannot be read, lines that are no integers, more or fewer than
    one for each of `vertices`, and ids that are not `valid`.
    """
    remedy = "export it again"
    try:
        ids = np.array(path.read_text(encoding="ascii").splitlines(), np.int64)
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", remedy) from error
    except (ValueError, OverflowError) as error:
        raise BadInput(path, f"has lines that are no integers ({error})", remedy) from error
    if len(ids) != vertices:
        raise BadInput(path, f"has {len(ids)} lines for a mesh of {vertices} vertices", remedy)
    unknown = sorted({*ids.tolist()} - {*valid})
    if unknown:
        raise BadInput(path, f"has the id {unknown[0]}, which the benchmark does not know", remedy)
    return ids


def write_zip(path: Path, files: Mapping[str, Path]) -> None:
    """Write files by their names in the root of a zip, atomically.

    Raises `BadInput` if it cannot be written.
    """
    with whole_file(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, file in sorted(files.items()):
            info = zipfile.ZipInfo(name, _EPOCH)
            archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED)
