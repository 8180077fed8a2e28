"""Colours of a PLY file in whatever number type and under whatever names a program writes."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement

from pipeline.errors import BadInput
from pipeline.readers.ply import read_points
from tests.other_files import Variant

RGB = np.array([[255, 0, 10], [128, 64, 200], [3, 250, 77], [90, 90, 90]], np.uint8)
DARK = np.array([[0, 0, 0], [1, 0, 0], [2, 1, 3], [0, 2, 1]], np.uint8)
XYZ = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 2]], np.float32)

NAMES = [
    ("red", "green", "blue"),
    ("r", "g", "b"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
    ("Red", "Green", "Blue"),
    ("RED", "GREEN", "BLUE"),
    ("R", "G", "B"),
    ("scalar_red", "scalar_green", "scalar_blue"),
    ("scalar_R", "scalar_G", "scalar_B"),
    ("vertex_red", "vertex_green", "vertex_blue"),
    ("color_r", "color_g", "color_b"),
    ("Diffuse_Red", "Diffuse_Green", "Diffuse_Blue"),
]

# What programs write for bytes, and how far from them it may be read.
_Numbers = tuple[str, Any, int]
NUMBERS: list[_Numbers] = [
    ("bytes", lambda rgb: rgb, 0),
    ("floats to 1", lambda rgb: (rgb / 255).astype(np.float32), 0),
    ("doubles to 1", lambda rgb: rgb / 255, 0),
    ("floats slightly over 1", lambda rgb: (rgb / 254.9).astype(np.float32), 1),
    ("floats to 255", lambda rgb: rgb.astype(np.float32), 0),
    ("doubles to 255", lambda rgb: rgb.astype(np.float64), 0),
    ("floats to 255 with fractions", lambda rgb: (rgb * 0.999).astype(np.float32), 1),
    ("shorts to 255", lambda rgb: rgb.astype(np.int16), 0),
    ("ints to 255", lambda rgb: rgb.astype(np.int32), 0),
    ("unsigned ints to 255", lambda rgb: rgb.astype(np.uint32), 0),
    ("shorts, shifted", lambda rgb: rgb.astype(np.uint16) * 256, 0),
    ("shorts, stretched", lambda rgb: rgb.astype(np.uint16) * 257, 0),
    ("ints of 16 bits", lambda rgb: rgb.astype(np.int32) * 257, 0),
    ("doubles of 16 bits", lambda rgb: rgb.astype(np.float64) * 257, 0),
]


def write(path: Path, columns: Mapping[str, NDArray[Any]], **how: Any) -> Path:
    """A cloud of `XYZ` with more columns (N,) by name."""
    every = {**dict(zip("xyz", XYZ.T, strict=True)), **columns}
    vertex = np.empty(len(XYZ), [(name, column.dtype) for name, column in every.items()])
    for name, column in every.items():
        vertex[name] = column
    PlyData([PlyElement.describe(vertex, "vertex")], **how).write(str(path))
    return path


def read(folder: Path, columns: Mapping[str, NDArray[Any]], text: bool, **how: Any) -> np.ndarray:
    """The colours of such a cloud as the project reads them."""
    return read_points(write(folder / "room.ply", columns, text=text, **how))[1].astype(int)


@st.composite
def channels(draw: st.DrawFn) -> Variant:
    """Three columns of any name and number type, with or without alpha and normals."""
    names, (what, made, near) = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NUMBERS))
    text, order = draw(st.booleans()), "<" if draw(st.booleans()) else ">"
    alpha, dark = draw(st.booleans()), draw(st.booleans()) and what in ("bytes", "shorts to 255")
    rgb = DARK if dark else RGB

    def check(folder: Path) -> None:
        values = made(rgb)
        columns = dict(zip(names, values.T, strict=True))
        columns |= {"alpha": np.full(len(rgb), values.max())} if alpha else {}
        found = read(folder, columns, text, byte_order="=" if text else order)
        assert abs(found - rgb).max() <= near, found.tolist()

    return Variant(f"{names} of {what}, text {text}, alpha {alpha}, dark {dark}", check)


@st.composite
def packed(draw: st.DrawFn) -> Variant:
    """One column for all three, as the Point Cloud Library has it."""
    name = draw(st.sampled_from(["rgb", "rgba", "RGB"]))
    kind = draw(st.sampled_from(["u4", "i4", "bits in f4", "number in f8"]))
    alpha = draw(st.sampled_from([0, 255])) if kind != "number in f8" else 0
    text = draw(st.booleans()) and kind != "bits in f4"
    wide = RGB.astype(np.uint32)
    number = np.uint32(alpha) << 24 | wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]
    column = {
        "u4": number,
        "i4": number.view(np.int32),
        "bits in f4": number.view(np.float32),
        "number in f8": number.astype(np.float64),
    }[kind]

    def check(folder: Path) -> None:
        found = read(folder, {name: column}, text)
        assert np.array_equal(found, RGB), found.tolist()

    return Variant(f"{name} as {kind}, alpha {alpha}, text {text}", check)


def _splats(kind: str) -> Variant:
    """Gaussian splats have spherical harmonics for colours."""

    def check(folder: Path) -> None:
        values = ((RGB / 255 - 0.5) / 0.28209479177387814).astype(kind)
        columns = {f"f_dc_{i}": column for i, column in enumerate(values.T)}
        found = read(folder, columns | {"opacity": np.ones(4, kind)}, False)
        assert abs(found - RGB).max() <= 1

    return Variant(f"Gaussian splats of {kind}", check)


def _grey(name: str, kind: str) -> Variant:
    shade = np.array([0, 30, 60, 90])
    values = {"u1": shade, "u2": shade * 500, "f4": shade / 90 - 0.4, "f8": shade * 1e3}[kind]

    def check(folder: Path) -> None:
        path = write(folder / "room.ply", {name: values.astype(kind)})
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = read_points(path)[1].astype(int)
        assert "no colours" in str(said[0].message)
        assert (found == found[:, :1]).all()
        assert (np.diff(found[:, 0]) > 0).all(), found.tolist()

    return Variant(f"{name} of {kind} in the place of colours", check)


def _refused(what: str, values: NDArray[Any]) -> Variant:
    """Numbers that cannot be colours: the sentence names their range."""

    def check(folder: Path) -> None:
        with pytest.raises(BadInput, match="blue from") as sentence:
            read(folder, dict(zip(("red", "green", "blue"), values.T, strict=True)), False)
        raise sentence.value

    return Variant(what, check, may_be_refused=True)


def _holes(kind: str) -> Variant:
    """A point whose colour is no number is grey, and the others keep theirs."""

    def check(folder: Path) -> None:
        values = RGB.astype(kind) / (255 if kind == "f4" else 1)
        values[1] = np.nan
        found = read(folder, dict(zip(("red", "green", "blue"), values.T, strict=True)), False)
        assert np.array_equal(np.delete(found, 1, 0), np.delete(RGB, 1, 0))
        assert (found[1] == 128).all()

    return Variant(f"a colour that is no number, {kind}", check)


VARIANTS: SearchStrategy[Variant] = st.one_of(
    channels(),
    channels(),
    packed(),
    st.builds(
        _grey,
        st.sampled_from(["intensity", "scalar_Intensity", "gray", "reflectance"]),
        st.sampled_from(["u1", "u2", "f4", "f8"]),
    ),
    st.sampled_from(
        [
            _refused("negative", RGB.astype(np.int16) - 128),
            _refused("too large", RGB.astype(np.int32) * 2**16),
            _refused("of images that were normalised", RGB / np.float32(127.5) - 1),
        ]
    ),
    st.builds(_splats, st.sampled_from(["f4", "f8"])),
    st.builds(_holes, st.sampled_from(["f4", "f8"])),
)
