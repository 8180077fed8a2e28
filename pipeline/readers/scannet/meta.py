"""The text file of a scan, `<scan>.txt`."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BadInput


def read_axis_alignment(path: Path) -> NDArray[np.float64]:
    """The (4, 4) that turns the scan's walls along the axes: p_aligned = A [p; 1].

    Identity where the file has none, as for the test scans. Raises `BadInput`.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror})", "download it again") from None
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() == "axisAlignment":
            try:
                matrix = np.array(value.split(), np.float64).reshape(4, 4)
            except ValueError:
                matrix = np.full((4, 4), np.nan)
            if not np.isfinite(matrix).all():
                raise BadInput(path, "has an axisAlignment of other than 16 numbers", "mend it")
            return matrix
    return np.eye(4)
