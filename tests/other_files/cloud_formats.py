"""Scans in one file of any format that `predict` and `view` take: LAS, LAZ, OBJ, glTF, STL."""

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import laspy
import numpy as np
import pytest
import trimesh
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import BadInput
from pipeline.readers.any_scan import read_any
from tests.helpers.tiny_ply import write_ply
from tests.other_files import Variant

COUNT = 60
RNG = np.random.default_rng(5)
XYZ = np.round(RNG.uniform(0, 1, (COUNT, 3)) * [4, 3, 2.5], 3)
RGB = RNG.integers(0, 256, (COUNT, 3)).astype(np.uint8)
FACES = np.stack([RNG.permutation(COUNT)[:3] for _ in range(90)])
Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])  # from z up to y up, of rows


def read(path: Path, up: str | None = None) -> tuple[NDArray[np.float64], NDArray[np.int64], str]:
    """Positions in the file's coordinates with z up, colours, and what was said."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        cloud, _ = read_any(path, up)
    messages = " ".join(str(each.message) for each in said if each.category is UserWarning)
    return cloud.xyz.astype(np.float64) + cloud.offset, cloud.rgb.astype(np.int64), messages


@st.composite
def las(draw: st.DrawFn) -> Variant:
    """Points, colours of any range and offsets of LAS and LAZ files of any point format."""
    kind, number = draw(st.sampled_from([".las", ".laz", ".LAS"])), draw(st.integers(0, 8))
    color = draw(st.sampled_from(["shifted", "stretched", "bytes", "none"]))
    offset = np.array(draw(st.sampled_from([(0, 0, 0), (448262, 5411932, 112)])), np.float64)
    intensity = draw(st.booleans())

    def check(folder: Path) -> None:
        header = laspy.LasHeader(point_format=number)
        header.offsets, header.scales = offset, np.full(3, 0.0001)
        written = laspy.LasData(header)
        written.x, written.y, written.z = (XYZ + offset).T
        colored = "red" in set(written.point_format.dimension_names) and color != "none"
        if colored:
            deep = RGB.astype(np.uint16) * {"shifted": 256, "stretched": 257, "bytes": 1}[color]
            written.red, written.green, written.blue = deep.T
        if intensity:
            written.intensity = np.arange(COUNT) * 100
        written.write(str(folder / f"room{kind}"), do_compress=kind == ".laz")
        xyz, rgb, said = read(folder / f"room{kind}")
        assert abs(xyz - XYZ - offset).max() < 2e-4
        assert ("no colours" in said) == (not colored), said
        if colored:
            assert np.array_equal(rgb, RGB)
        elif intensity:
            assert (np.diff(rgb[2:-2, 0]) >= 0).all()
            assert rgb[0, 0] < rgb[-1, 0]
        else:
            assert (rgb == 128).all()

    return Variant(f"{kind} of point format {number}, {color}, intensity {intensity}", check)


@st.composite
def obj(draw: st.DrawFn) -> Variant:
    """Lines of vertices with colours of any range, with and without faces, far and near."""
    unit = draw(st.sampled_from(["shares", "bytes", "none"]))
    faces, normals, crlf = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    offset = np.array(draw(st.sampled_from([(0, 0, 0), (448262, 5411932, 112)])), np.float64)
    up = draw(st.sampled_from(["z", "y"]))

    def check(folder: Path) -> None:
        place = (XYZ + offset) @ Y_UP.T if up == "y" else XYZ + offset
        lines = ["# Büro", "o room"]
        for xyz, rgb in zip(place.tolist(), RGB.tolist(), strict=True):
            color = [] if unit == "none" else [c / 255 if unit == "shares" else c for c in rgb]
            lines.append(" ".join(["v", *(f"{x:.4f}" for x in xyz), *map(str, color)]))
        lines += ["vn 0 0 1"] if normals else []
        if faces:
            end = "//1" if normals else ""
            lines += ["f " + " ".join(f"{i + 1}{end}" for i in face) for face in FACES]
        text = ("\r\n" if crlf else "\n").join(lines) + "\n"
        (folder / "room.obj").write_bytes(text.encode())
        found, colors, said = read(folder / "room.obj", up)
        assert found.shape == XYZ.shape, found.shape
        assert abs(found - XYZ - offset).max() < 2e-4
        assert ("no colours" in said) == (unit == "none"), said
        if unit != "none":
            assert np.array_equal(colors, RGB)

    return Variant(f"OBJ, colours {unit}, faces {faces}, normals {normals}, {offset}, {up}", check)


@st.composite
def gltf(draw: st.DrawFn) -> Variant:
    """Meshes and clouds of a scene in their places; y is up unless somebody says otherwise."""
    kind, colored = draw(st.sampled_from([".glb", ".gltf"])), draw(st.booleans())
    moved, cloud = draw(st.booleans()), draw(st.booleans()) and kind == ".glb"
    up = draw(st.sampled_from([None, "z", "y", "-y"]))

    def check(folder: Path) -> None:
        colors = RGB if colored else None
        lying = XYZ @ Y_UP.T
        scene, place = trimesh.Scene(), np.eye(4)
        place[:3, 3] = [10, 5, -20] if moved else 0
        part: Any = trimesh.PointCloud(lying, RGB) if cloud else None
        part = part or trimesh.Trimesh(lying, FACES, vertex_colors=colors, process=False)
        scene.add_geometry(part, transform=place)
        path = folder / f"room{kind}"
        scene.export(path)
        xyz, rgb, said = read(path, up)
        wanted = lying + place[:3, 3]
        if up != "z":
            wanted = wanted @ Y_UP * ([1, -1, -1] if up == "-y" else 1)
        assert abs(xyz - wanted).max() < 1e-5
        assert ("no colours" in said) == (not colored and not cloud), said
        if colored or cloud:
            assert abs(rgb - RGB).max() <= 1

    return Variant(f"{kind}, colours {colored}, moved {moved}, a cloud {cloud}, up {up}", check)


@st.composite
def textures(draw: st.DrawFn) -> Variant:
    """Vertices have the colour of the texture at them; a lost texture is said."""
    kind, lost = draw(st.sampled_from([".glb", ".obj"])), draw(st.booleans())
    lost = lost and kind == ".obj"

    def check(folder: Path) -> None:
        corners = np.array([[0, 0, 0], [3, 0, 0], [3, 2, 0], [0, 2, 0]], np.float64)
        colors = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [250, 250, 250]]], np.uint8)
        image = Image.fromarray(colors.repeat(16, 0).repeat(16, 1))
        mesh = trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], process=False)
        uv = np.array([[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]])
        mesh.visual = trimesh.visual.TextureVisuals(uv=uv, image=image)
        mesh.export(folder / f"room{kind}")
        for path in folder.glob("material*"):
            if lost:
                path.unlink()
        _, rgb, said = read(folder / f"room{kind}")
        assert ("no colours" in said) == lost, said
        wanted = [[0, 0, 255], [250, 250, 250], [0, 255, 0], [255, 0, 0]]
        assert np.array_equal(rgb, np.full((4, 3), 128) if lost else wanted), rgb.tolist()

    return Variant(f"texture of {kind}, lost {lost}", check)


def _whole(kind: str) -> bytes:
    file = BytesIO()
    if kind in (".las", ".laz"):
        written = laspy.LasData(laspy.LasHeader(point_format=2))
        written.x, written.y, written.z = XYZ.T
        written.write(file, do_compress=kind == ".laz")
        data: bytes = file.getvalue()
        return data
    mesh = trimesh.Trimesh(XYZ, FACES, vertex_colors=RGB, process=False)
    made: Any = mesh.export(file_type=kind[1:])
    return made if isinstance(made, bytes) else made.encode()


@st.composite
def damaged(draw: st.DrawFn) -> Variant:
    """What is cut off, empty, of another format or unknown is refused in a sentence."""
    kind = draw(st.sampled_from([".las", ".laz", ".glb", ".stl", ".obj", ".gltf"]))
    what = draw(st.sampled_from(["cut", "empty", "text", "zeros", "another format"]))
    other = draw(st.sampled_from([".pcd", ".e57", ".fbx", ".usdz", ".zip", "", ".jpg"]))

    def check(folder: Path) -> None:
        if what == "another format":
            path = folder / f"room{other}"
            path.write_bytes(_whole(".glb"))
        else:
            path = folder / f"room{kind}"
            whole = _whole(".glb" if kind == ".gltf" else kind)
            path.write_bytes(
                {
                    "cut": b"" if kind == ".obj" else whole[: len(whole) // 2],
                    "empty": b"",
                    "text": b"<!DOCTYPE html>",
                    "zeros": bytes(300),
                }[what]
            )
        with pytest.raises(BadInput) as sentence:
            read(path)
        raise sentence.value

    return Variant(f"{what}: {other if what == 'another format' else kind}", check, True)


def _renamed(ending: str) -> Variant:
    def check(folder: Path) -> None:
        write_ply(folder / f"room{ending}", XYZ)
        assert abs(read(folder / f"room{ending}")[0] - XYZ).max() < 1e-6

    return Variant(f"a PLY file with the ending {ending!r}", check)


VARIANTS = st.one_of(
    las(),
    obj(),
    gltf(),
    textures(),
    damaged(),
    st.builds(_renamed, st.sampled_from([".PLY", "", ".txt", ".ply", ".mesh"])),
)
