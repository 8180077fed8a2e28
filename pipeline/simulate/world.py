"""A simulated room: one textured triangle mesh, each face of which belongs to a thing."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Thing:
    """One object of a room; two chairs are two things."""

    name: str  # raw category in free text, as an annotator would type it: "office chair"
    nyu40: int  # NYU40 id, 0 = none
    model: str  # id in the furniture catalogue, or "procedural:..."


@dataclass(frozen=True, eq=False)
class Material:
    """The surface of a face: a texture, or else a plain colour."""

    color: Float32  # (3,) sRGB, 0..1
    texture: NDArray[np.uint8] | None = None  # (h, w, 3) sRGB, first row at v = 1
    glow: float = 0.0  # emitted light (a lamp, the view out of a window), in units of white


@dataclass(frozen=True)
class Lamp:
    """A point light that falls off with the square of the distance."""

    position: tuple[float, float, float]  # metres
    color: tuple[float, float, float]  # linear intensity of red, green and blue


@dataclass(frozen=True, eq=False)
class Shape:
    """A mesh with its materials, before it becomes a thing in a room."""

    vertices: Float32  # (V, 3) metres, z up
    faces: NDArray[np.int32]  # (T, 3)
    uv: Float32  # (T, 3, 2) texture coordinates, v up, repeating
    material: NDArray[np.int32]  # (T,) index into materials
    materials: tuple[Material, ...]

    def moved(self, offset: Iterable[float], turn: float = 0.0) -> "Shape":
        """Rotated by `turn` radians about z (anticlockwise from above), then moved by `offset`."""
        c, s = np.cos(turn), np.sin(turn)
        rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], np.float32)
        shift = np.fromiter(offset, np.float32, 3)
        vertices = self.vertices @ rotation.T + shift
        return Shape(vertices, self.faces, self.uv, self.material, self.materials)


@dataclass(frozen=True, eq=False)
class World:
    """A furnished room. Metres, z up, the floor at z = 0."""

    vertices: Float32  # (V, 3)
    faces: NDArray[np.int32]  # (T, 3)
    face_thing: NDArray[np.int32]  # (T,) index into things
    face_uv: Float32  # (T, 3, 2) texture coordinates, v up, repeating
    face_material: NDArray[np.int32]  # (T,) index into materials
    materials: tuple[Material, ...]
    things: tuple[Thing, ...]
    outline: NDArray[np.float64]  # (P, 2) corners of the floor, anticlockwise
    height: float  # of the ceiling
    lamps: tuple[Lamp, ...]
    ambient: tuple[float, float, float] = (0.5, 0.5, 0.5)  # linear light from everywhere
    exposure: float = 1.0  # 1 = a well exposed picture


def join(shapes: Iterable[Shape]) -> Shape:
    """One shape from several; identical materials (the same object) are kept once."""
    parts = list(shapes)
    materials: list[Material] = []
    index: dict[int, int] = {}
    renamed = []
    for part in parts:
        for material in part.materials:
            if id(material) not in index:
                index[id(material)] = len(materials)
                materials.append(material)
        names = np.array([index[id(m)] for m in part.materials], np.int32)
        renamed.append(names[part.material])
    first = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    faces = [part.faces + start for part, start in zip(parts, first, strict=True)]
    return Shape(
        np.concatenate([part.vertices for part in parts]).astype(np.float32),
        np.concatenate(faces).astype(np.int32),
        np.concatenate([part.uv for part in parts]).astype(np.float32),
        np.concatenate(renamed).astype(np.int32),
        tuple(materials),
    )


def assemble(
    parts: Iterable[tuple[Thing, Shape]],
    outline: NDArray[np.float64],
    height: float,
    lamps: Iterable[Lamp],
    ambient: tuple[float, float, float] = (0.5, 0.5, 0.5),
    exposure: float = 1.0,
) -> World:
    """The world of these things, in this order; `outline` as in `World`."""
    placed = list(parts)
    whole = join(shape for _, shape in placed)
    counts = [len(shape.faces) for _, shape in placed]
    return World(
        vertices=whole.vertices,
        faces=whole.faces,
        face_thing=np.repeat(np.arange(len(placed), dtype=np.int32), counts),
        face_uv=whole.uv,
        face_material=whole.material,
        materials=whole.materials,
        things=tuple(thing for thing, _ in placed),
        outline=np.asarray(outline, np.float64),
        height=height,
        lamps=tuple(lamps),
        ambient=ambient,
        exposure=exposure,
    )
