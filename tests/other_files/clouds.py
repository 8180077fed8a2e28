"""Positions of clouds as programs write them: far from the origin, with holes, of odd headers."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement

from model.inference.label_clouds import placed
from model.inference.ply import write_heat, write_labels
from model.inference.unseen import voxelised
from pipeline.readers.any_scan import read_any
from tests.other_files import Variant

COUNT = 200
VOXEL = 0.05  # metres
# UTM, Gauss-Krueger, a state plane in metres, earth-centred, a site's own zero, a building's
OFFSETS = [
    (0, 0, 0),
    (448262, 5411932, 0),
    (500000.125, 5400000.456, 112.25),
    (3510000, 5400000, 430),
    (-2700000.5, -4290000.25, 3850000.75),
    (1200, -15000, 3),
    (999, -999, 50),
    (0, 0, 2300),
]


def room(seed: int = 0) -> NDArray[np.float64]:
    """Points (N, 3) in a room of 4 by 3 by 2.5 m, in tenths of a millimetre."""
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(0, 1, (COUNT, 3)) * [4, 3, 2.5]
    xyz[:50, 2], xyz[50:100, 0] = 0, 0
    return np.round(xyz, 4)


def write(path: Path, xyz: NDArray[np.float64], kind: str = "f8", **how: Any) -> Path:
    """A cloud of points (N, 3) with colours that depend on their number."""
    names = [*((axis, kind) for axis in "xyz"), *((c, "u1") for c in ("red", "green", "blue"))]
    vertex = np.zeros(len(xyz), names)
    for axis, column in zip("xyz", xyz.T, strict=True):
        vertex[axis] = column
    for c in ("red", "green", "blue"):
        vertex[c] = np.arange(len(xyz)) % 256
    PlyData([PlyElement.describe(vertex, "vertex")], **how).write(str(path))
    return path


def labelled(folder: Path, cloud: Any, heat: bool) -> PlyData:
    """The cloud as it is written with labels, or with heat, after its voxels were made."""
    voxels = voxelised(cloud, VOXEL)
    count, (offset, left_out) = len(cloud.xyz), placed(voxels)
    out, zeros = folder / "labels.ply", np.zeros(count)
    if heat:
        write_heat(out, cloud.xyz, np.arange(count) / 9, "x", offset, left_out)
    else:
        label, color = np.arange(count) % 2, np.zeros((2, 3), np.uint8)
        write_labels(
            out, cloud.xyz, label, zeros, zeros.astype(int), ["a", "b"], color, offset, left_out
        )
    return PlyData.read(str(out))["vertex"]


@st.composite
def positions(draw: st.DrawFn) -> Variant:
    """Large coordinates keep their millimetres, and points without a position their place."""
    offset = np.array(draw(st.sampled_from(OFFSETS)), np.float64)
    missing = draw(st.sampled_from(["none", "nan", "inf", "one nan", "zero"]))
    text, heat = draw(st.booleans()), draw(st.booleans())
    every = draw(st.integers(2, 60))
    far = np.abs(offset[:2]).max() > 1000
    if missing == "zero" and not far:
        missing = "none"

    def check(folder: Path) -> None:
        xyz, gone = room(every) + offset, np.zeros(COUNT, bool)
        gone[::every] = missing != "none"
        hole: Any = {"nan": np.nan, "inf": np.inf, "one nan": [0, np.nan, 0], "zero": 0}
        xyz[gone] = hole.get(missing, 0)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            cloud, _ = read_any(write(folder / "room.ply", xyz, text=text))
        messages = " ".join(str(each.message) for each in said)
        assert (f"{gone.sum()} of {COUNT}" in messages) == gone.any(), messages
        assert np.isfinite(cloud.xyz).all()
        kept = xyz[~gone]
        error = abs(cloud.xyz.astype(np.float64) + cloud.offset - kept).max()
        assert error < 1e-4, f"{error} m off"
        assert (cloud.offset == np.rint(cloud.offset)).all()
        assert (cloud.rgb[:, 0] == np.arange(COUNT)[~gone]).all()
        back = labelled(folder, cloud, heat)
        assert len(back) == COUNT
        again = np.stack([back[axis] for axis in "xyz"], 1).astype(np.float64)
        assert (np.isfinite(again).all(1) == ~gone).all()
        assert abs(again[~gone] - kept).max() < 1e-3
        if not heat:
            assert (back["label"][gone] == -1).all()
            assert (back["label"][~gone] >= 0).all()

    return Variant(f"{missing} missing, offset {offset}, text {text}, heat {heat}", check)


COMMENTS = ["TextureFile Büro.jpg", "作成: 点群", "scanné à l'étage", "naïve – “quoted”", "plain"]


@st.composite
def headers(draw: st.DrawFn) -> Variant:
    """Comments mean nothing, whatever their encoding; positions of any type and order."""
    comment, word = draw(st.sampled_from(COMMENTS)), draw(st.sampled_from(["comment", "obj_info"]))
    encoding = draw(st.sampled_from(["utf-8", "latin-1", "utf-16-le"]))
    text, kind = draw(st.booleans()), draw(st.sampled_from(["f4", "f8"]))
    order, upper = draw(st.sampled_from("<>")), draw(st.booleans())

    def check(folder: Path) -> None:
        path = write(
            folder / "room.ply", room(), kind, text=text, byte_order="=" if text else order
        )
        head, mark, rest = path.read_bytes().partition(b"element")
        line = f"{word} {comment}".encode(encoding, "replace").replace(b"\n", b"") + b"\n"
        data = head + line + mark + rest
        if upper:
            for axis in (b"x", b"y", b"z"):
                data = data.replace(b" " + axis + b"\n", b" " + axis.upper() + b"\n", 1)
        path.write_bytes(data)
        cloud, _ = read_any(path)
        assert abs(cloud.xyz - room()).max() < 1e-6

    return Variant(f"{word} {comment!r} in {encoding}, {kind}, text {text}, X {upper}", check)


@st.composite
def counts(draw: st.DrawFn) -> Variant:
    """A file with more points than its header says, as of a program that was stopped."""
    text, order = draw(st.booleans()), draw(st.sampled_from("<>"))
    said, more = draw(st.integers(1, 40)), draw(st.integers(1, 5))

    def check(folder: Path) -> None:
        path = folder / "room.ply"
        write(path, room()[: said + more], text=text, byte_order="=" if text else order)
        there = b"element vertex %d\n" % (said + more)
        assert there in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(there, b"element vertex %d\n" % said))
        read_any(path)
        raise AssertionError(f"{more} points were left out without a word")

    return Variant(f"{said} points announced, {more} more, text {text}, {order}", check, True)


UNITS = {"mm": 1000, "cm": 100, "inches": 1 / 0.0254, "dm": 10, "feet": 1 / 0.3048, "km": 0.001}


@st.composite
def units(draw: st.DrawFn) -> Variant:
    """A room in another unit is refused, or at least said; rooms and houses in metres are not."""
    unit = draw(st.sampled_from([*UNITS, "metres", "a cube of 1", "metres", "metres"]))
    rooms, offset = draw(st.integers(1, 6)), draw(st.sampled_from(OFFSETS))
    height, text = draw(st.floats(2.2, 3.4)), draw(st.booleans())

    def check(folder: Path) -> None:
        own = room() * [1, 1, height / 2.5]
        xyz = np.concatenate([own + np.array([4 * i, 0, 0]) for i in range(rooms)])
        if unit == "a cube of 1":
            xyz = xyz / np.ptp(xyz, axis=0).max()
        path = write(folder / "room.ply", xyz * UNITS.get(unit, 1) + offset, text=text)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            cloud, _ = read_any(path)
        messages = " ".join(str(each.message) for each in said)
        assert ("unit is the metre" in messages) == (unit != "metres"), messages or "not said"
        assert abs(cloud.xyz + cloud.offset - xyz * UNITS.get(unit, 1) - offset).max() < 1e-3

    refused = unit in ("mm", "cm", "inches")
    return Variant(f"{rooms} rooms of {height:.1f} m in {unit}, offset {offset}", check, refused)


VARIANTS = st.one_of(positions(), headers(), counts(), units())
