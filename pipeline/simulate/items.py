"""Things before they are placed: catalogue models in varied colours, or procedural ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.catalogue import Catalogue, Model
from pipeline.simulate.models import GLASS
from pipeline.simulate.patterns import hsv, outdoors, wood_color
from pipeline.simulate.primitives import quad
from pipeline.simulate.world import Material, Shape, Thing, join

# Roles whose models are sometimes tinted, and the tints.
_WOODEN = {"dining table", "coffee table", "desk", "bookshelf", "cabinet", "wardrobe", "dresser"}
_WOODEN |= {"night stand", "tv stand", "bench", "stool", "counter", "lower cabinet"}
_CLOTHED = {"sofa", "corner sofa", "armchair", "office chair", "bed", "small bed", "rug"}
_PAINTED = {"door", "high cabinet", "wall cabinet", "trash can", "floor thing", "table lamp"}
_EITHER = {"chair", "small chair"}


@dataclass(frozen=True, eq=False)
class Item:
    """A thing with its shape: centred in x and y, foot at z = 0, front towards -y, in metres."""

    thing: Thing
    shape: Shape
    elevation: float = 0.0  # usual height of its foot above the floor

    @property
    def size(self) -> NDArray[np.float64]:
        """Width, depth and height (3,) in metres."""
        return np.ptp(self.shape.vertices, axis=0).astype(np.float64)

    def scaled(self, factors: NDArray[np.floating]) -> "Item":
        """The same thing `factors` (3,) times as wide, deep and high."""
        shape = self.shape
        vertices = (shape.vertices * factors).astype(np.float32)
        grown = Shape(vertices, shape.faces, shape.uv, shape.material, shape.materials)
        return Item(self.thing, grown, self.elevation)


class Store:
    """Draws items of a role, in one split, for a room."""

    def __init__(self, catalogue: Catalogue, split: str) -> None:
        self._catalogue = catalogue
        self._split = split

    def take(
        self, role: str, rng: np.random.Generator, widest: float = np.inf, tallest: float = np.inf
    ) -> Item | None:
        """A random item of the role, of limited width and height; None if the split has none."""
        models = self._catalogue.models(role, self._split)
        fitting = [m for m in models if m.size[0] <= widest and m.size[2] <= tallest]
        for index in rng.permutation(len(fitting)):
            shape = self._catalogue.shape(fitting[index])
            if shape is not None:
                return _varied(fitting[index], shape, role, rng)
        return None


def _varied(model: Model, shape: Shape, role: str, rng: np.random.Generator) -> Item:
    """The model a little larger or smaller and, where the role allows, in another colour."""
    vertices = shape.vertices * rng.uniform(0.94, 1.06, 3).astype(np.float32)
    materials = shape.materials
    tint = _tint(role, rng)
    if tint is not None and rng.uniform() < 0.5:
        materials = tuple(_tinted(material, tint) for material in materials)
    thing = Thing(model.kind.name, model.kind.nyu40, model.id)
    varied = Shape(vertices, shape.faces, shape.uv, shape.material, materials)
    return Item(thing, varied, model.elevation)


def _tint(role: str, rng: np.random.Generator) -> NDArray[np.float64] | None:
    """A random colour for things of this role; None to leave them unchanged."""
    wooden = rng.uniform() < 0.5
    if role in _WOODEN or (role in _EITHER and wooden):
        return wood_color(rng)
    if role in _CLOTHED or role in _EITHER:
        return hsv(rng.uniform(), rng.uniform(0.05, 0.65), rng.uniform(0.3, 0.95))
    if role in _PAINTED:
        if wooden:
            return wood_color(rng)
        return hsv(rng.uniform(), rng.choice([0.03, 0.15, 0.5]), rng.uniform(0.6, 0.95))
    return None


def _tinted(material: Material, tint: NDArray[np.float64]) -> Material:
    """The material with the hue of `tint` and its own brightness; glass and black are unchanged."""
    if material is GLASS:
        return material
    if material.texture is None:
        return Material(_shaded(material.color[None], tint)[0], None, material.glow)
    texture = _shaded(material.texture.reshape(-1, 3).astype(np.float32) / 255, tint)
    return Material(
        material.color,
        (texture * 255).astype(np.uint8).reshape(material.texture.shape),
        material.glow,
    )


def _shaded(color: NDArray[np.floating], tint: NDArray[np.float64]) -> NDArray[np.float32]:
    """Colours (n, 3) three quarters of the way to `tint` at their own brightness."""
    gray = color.mean(1, keepdims=True)
    target = tint.astype(np.float32) * gray / max(float(gray.mean()), 0.4)
    return np.clip(0.25 * color + 0.75 * target, 0, 1).astype(np.float32)


def fitted_to_wall(item: Item, thickness: float) -> Item:
    """A door or window for a wall opening, flattened so that it fits in front of the wall."""
    return item.scaled(np.array([1, thickness / max(float(item.size[1]), 1e-6), 1]))


def glazed(item: Item, rng: np.random.Generator) -> Item:
    """A window with a view of the outdoors behind its glass."""
    shape = item.shape
    glass = np.array([material is GLASS for material in shape.materials])[shape.material]
    if not glass.any() or glass.all():
        return item
    panes = shape.vertices[shape.faces[glass]].reshape(-1, 3)
    (x0, _, z0), (x1, _, z1) = panes.min(0), panes.max(0)
    y = float(panes[:, 1].mean())
    size = (float(x1 - x0), float(z1 - z0))
    corners = np.array([[x0, y, z0], [x1, y, z0], [x1, y, z1], [x0, y, z1]])
    view = quad(corners, outdoors(rng), size)
    keep = ~glass
    frame = Shape(
        shape.vertices, shape.faces[keep], shape.uv[keep], shape.material[keep], shape.materials
    )
    return Item(item.thing, join([frame, view]), item.elevation)
