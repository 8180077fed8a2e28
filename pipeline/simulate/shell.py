"""The room itself: floor, ceiling and walls, with doors, windows, curtains and pictures on them."""

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate import built, cloths, patterns
from pipeline.simulate.footprints import footprint
from pipeline.simulate.items import Item, Store, fitted_to_wall, glazed
from pipeline.simulate.layout import Layout, Placed, Wall
from pipeline.simulate.primitives import box, quad
from pipeline.simulate.world import Lamp, Material, Shape, Thing, join

_DOOR_SPACE = 0.9  # metres kept free in front of a door


def outline(rng: np.random.Generator, shortest: float, longest: float) -> NDArray[np.float64]:
    """Corners of a rectangular or, in larger rooms, sometimes L-shaped floor, anticlockwise."""
    w, d = rng.uniform(shortest, longest, 2)
    if min(w, d) < 4 or rng.uniform() < 0.6:
        return np.array([[0, 0], [w, 0], [w, d], [0, d]])
    x, y = w * rng.uniform(0.55, 0.75), d * rng.uniform(0.55, 0.75)
    corners = np.array([[0, 0], [w, 0], [w, y], [x, y], [x, d], [0, d]])
    if rng.uniform() < 0.5:  # mirrored, and reordered to stay anticlockwise
        corners = (corners * [-1, 1] + [w, 0])[::-1]
    return corners


def bare(layout: Layout, rng: np.random.Generator, wet: bool) -> list[tuple[Thing, Shape]]:
    """Floor, ceiling, one thing per wall, and skirting boards as part of their wall."""
    floor = patterns.wet_floor(rng) if wet else patterns.floor(rng)
    paint = patterns.wet_floor(rng) if wet and rng.uniform() < 0.5 else patterns.wall(rng)
    accent = patterns.wall(rng) if rng.uniform() < 0.3 else paint
    skirting = patterns.plain(patterns.hsv(0.1, rng.uniform(0, 0.4), rng.uniform(0.3, 0.95)))
    white = patterns.plain(patterns.hsv(0.1, 0.03, 0.93))
    scale = rng.uniform(0.8, 1.6)
    parts = [
        (Thing("floor", 2, "procedural:floor"), _slab(layout.outline, 0.0, floor, scale)),
        (
            Thing("ceiling", 22, "procedural:ceiling"),
            _slab(layout.outline, layout.height, white, scale),
        ),
    ]
    for index, wall in enumerate(layout.walls):
        end = wall.start + wall.along * wall.length
        ring = [(end, 0), (wall.start, 0), (wall.start, layout.height), (end, layout.height)]
        corners = np.array([[*point, z] for point, z in ring])
        surface = quad(corners, accent if index == 0 else paint, (scale, scale))
        board = box((-wall.length / 2, -0.012, 0), (wall.length / 2, 0, 0.08), skirting)
        middle = (wall.start + end) / 2
        board = board.moved((*middle, 0), wall.turn)
        parts.append((Thing("wall", 1, "procedural:wall"), join([surface, board])))
    return parts


def _slab(corners: NDArray[np.float64], z: float, material: Material, scale: float) -> Shape:
    """The floor's area at height z as rectangles (two for an L) with continuous texture."""
    low, high = corners.min(0), corners.max(0)
    rectangles = [(low, high)]
    if len(corners) == 6:
        xs, ys = np.unique(corners[:, 0]), np.unique(corners[:, 1])
        # The lower part is as wide as the box; above the notch only one side is left.
        upper = corners[np.isclose(corners[:, 1], ys[2]), 0]
        rectangles = [
            (np.array([xs[0], ys[0]]), np.array([xs[2], ys[1]])),
            (np.array([upper.min(), ys[1]]), np.array([upper.max(), ys[2]])),
        ]
    parts = []
    for (x0, y0), (x1, y1) in rectangles:
        p = np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]])
        parts.append(quad(p, material, (scale, scale)))
    return join(parts)


def doors(layout: Layout, store: Store, rng: np.random.Generator) -> None:
    """One or two doors with free space in front of them."""
    for _ in range(1 + (rng.uniform() < 0.3)):
        item = store.take("door", rng, tallest=layout.height - 0.1)
        if item is None:
            continue
        placed = layout.against(fitted_to_wall(item, 0.07), rng, gap=0.0)
        if placed:
            spot = placed.at(0, -_DOOR_SPACE / 2 - 0.04)
            size = [float(item.size[0]), _DOOR_SPACE]
            layout.reserve(footprint(size, spot, placed.turn), 0.0, 2.0)


def windows(
    layout: Layout,
    store: Store,
    rng: np.random.Generator,
    curtained: float,
    sill: float,
    count: int,
) -> list[Lamp]:
    """Windows at least `sill` metres high, with curtains with this probability; returns the
    daylight that comes through them."""
    lamps: list[Lamp] = []
    wall_order = [layout.walls[i] for i in rng.permutation(len(layout.walls))]
    for wall in wall_order:
        if len(lamps) >= count:
            break
        if (item := _window(store, rng, layout.height, sill, wall.length - 0.3)) is None:
            continue
        with_curtain = rng.uniform() < curtained
        placed = layout.against(item, rng, [wall], z=item.elevation, gap=0.0)
        if placed is None:
            continue
        daylight = tuple(rng.uniform(0.8, 2.0) * np.array([0.92, 0.97, 1.05]))
        spot = placed.at(0, -0.35)
        lamps.append(Lamp((*spot, item.elevation + float(item.size[2]) * 0.6), daylight))
        if with_curtain:
            _curtains(layout, placed, wall, store, rng)
    return lamps


def _window(
    store: Store, rng: np.random.Generator, height: float, sill: float, widest: float
) -> Item | None:
    """A window that fits between a sill and the ceiling."""
    item = built.window(rng, height - sill - 0.2)
    if rng.uniform() < 0.5:
        bought = store.take("window", rng, widest=widest, tallest=height - sill - 0.15)
        item = fitted_to_wall(glazed(bought, rng), 0.09) if bought else item
    if item.size[0] > widest:
        return None
    highest = height - float(item.size[2]) - 0.05
    elevation = float(np.clip(item.elevation, max(sill, 0.05), max(highest, 0.05)))
    return Item(item.thing, item.shape, elevation)


def _curtains(
    layout: Layout, window: Placed, wall: Wall, store: Store, rng: np.random.Generator
) -> None:
    """A curtain on one or both sides of a window, under a rod."""
    width = float(window.item.size[0])
    top = min(window.item.elevation + float(window.item.size[2]) + 0.12, layout.height - 0.06)
    foot = 0.04 if rng.uniform() < 0.7 else max(window.item.elevation - 0.2, 0.04)
    each = rng.uniform(0.3, 0.55) * max(width, 0.7)
    model = cloths.curtain(each, top - foot, rng)
    if rng.uniform() < 0.3 and (bought := store.take("curtain", rng)) is not None:
        model = bought.scaled(np.array([each, 0.08, top - foot]) / bought.size)
    hung = 0
    for side in (-1, 1) if rng.uniform() < 0.75 else (1,):
        spot = window.at(side * (width / 2 + 0.08 - each * 0.2), -0.1 - 0.05)
        hung += layout.put(model, spot, window.turn, foot, on=window.box) is not None
    rod = cloths.curtain_rod(min(width + 2 * each, wall.length), rng)
    if hung:
        layout.put(rod, window.at(0, -0.1 - 0.05), window.turn, top, on=window.box)


def pictures(layout: Layout, rng: np.random.Generator, count: int) -> None:
    """Pictures on the walls at eye height, where nothing tall is in front of them."""
    for _ in range(count):
        item = cloths.framed_picture(rng)
        layout.against(item, rng, z=item.elevation + rng.uniform(-0.15, 0.2), gap=0.003)
