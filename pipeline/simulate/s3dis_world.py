"""Structure that rooms of S3DIS have and furnished rooms lack, and the classes of S3DIS."""

import numpy as np

from pipeline.simulate import cloths
from pipeline.simulate.patterns import hsv, plain
from pipeline.simulate.primitives import box
from pipeline.simulate.world import Shape, Thing, World, assemble

# By NYU40 id; everything else is clutter. Beams and columns are found by name.
_CLASSES = {
    1: "wall",
    2: "floor",
    5: "chair",
    6: "sofa",
    7: "table",
    8: "door",
    9: "window",
    10: "bookcase",
    14: "table",
    22: "ceiling",
    30: "board",
}
_STRUCTURE = ("beam", "column")


def class_of(thing: Thing) -> str:
    """The class of S3DIS that an annotator would assign to a thing."""
    return thing.name if thing.name in _STRUCTURE else _CLASSES.get(thing.nyu40, "clutter")


def with_structure(world: World, rng: np.random.Generator) -> World:
    """The room with a column in a corner, a beam below the ceiling, and often a board on a wall."""
    low, high = world.outline.min(0), world.outline.max(0)
    paint = plain(hsv(0.1, 0.05, rng.uniform(0.6, 0.9)))
    corner, side = world.outline[0], rng.uniform(0.25, 0.4)
    inward = np.where(corner < (low + high) / 2, 1, -1) * side
    foot, top = np.sort([corner, corner + inward], axis=0)
    column = box((*foot, 0), (*top, world.height), paint)
    y, depth = rng.uniform(0.3, 0.6) * (high - low)[1] + low[1], rng.uniform(0.2, 0.35)
    beam = box((low[0], y, world.height - depth), (high[0], y + 0.3, world.height), paint)
    added = [
        (Thing("column", 38, "procedural:column"), column),
        (Thing("beam", 38, "procedural:beam"), beam),
    ]
    if rng.uniform() < 0.6:
        board = cloths.whiteboard(rng)
        start, end = world.outline[:2]
        along = (end - start) / np.linalg.norm(end - start)
        middle = start + along * np.linalg.norm(end - start) * 0.55
        inside = np.array([-along[1], along[0]])  # corners are anticlockwise: inside is left
        turn = float(np.arctan2(inside[0], -inside[1]))
        spot = middle + inside * float(board.size[1]) / 2
        added.append((board.thing, board.shape.moved((*spot, board.elevation), turn)))
    return assemble(
        [*_parts(world), *added],
        world.outline,
        world.height,
        world.lamps,
        world.ambient,
        world.exposure,
    )


def _parts(world: World) -> list[tuple[Thing, Shape]]:
    """The things of a world with their shapes, the input of `assemble`."""
    parts = []
    for index, thing in enumerate(world.things):
        mine = world.face_thing == index
        names, corners = np.unique(world.faces[mine], return_inverse=True)
        shape = Shape(
            world.vertices[names],
            corners.reshape(-1, 3).astype(np.int32),
            world.face_uv[mine],
            world.face_material[mine],
            world.materials,
        )
        parts.append((thing, shape))
    return parts
