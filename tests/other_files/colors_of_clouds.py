"""Colours of a PLY file in whatever number type and under whatever names a program writes."""

from functools import partial
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from plyfile import PlyData, PlyElement

from pipeline.readers.ply import read_points
from tests.other_files import Variant

RGB = np.array([[255, 0, 10], [128, 64, 200], [3, 250, 77], [90, 90, 90]], np.uint8)
XYZ = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 2]], np.float32)
NAMES = [("red", "green", "blue"), ("r", "g", "b")]


def write(path: Path, names: tuple[str, str, str], rgb: np.ndarray, **how: object) -> None:
    """A cloud of `XYZ` with colours (N, 3) of any type, under these names."""
    vertex = np.zeros(len(XYZ), [(a, "f4") for a in "xyz"] + [(n, rgb.dtype) for n in names])
    for axis, column in zip("xyz", XYZ.T, strict=True):
        vertex[axis] = column
    for name, column in zip(names, rgb.T, strict=True):
        vertex[name] = column
    PlyData([PlyElement.describe(vertex, "vertex")], **how).write(str(path))


def check(folder: Path, names: tuple[str, str, str], text: bool) -> None:
    """Bytes are read as they are."""
    write(folder / "room.ply", names, RGB, text=text)
    assert np.array_equal(read_points(folder / "room.ply")[1], RGB)


VARIANTS = st.builds(
    lambda names, text: Variant(f"{names}, text {text}", partial(check, names=names, text=text)),
    st.sampled_from(NAMES),
    st.booleans(),
)
