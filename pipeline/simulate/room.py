"""A furnished room from a seed."""

import numpy as np

from pipeline.simulate.catalogue import Catalogue
from pipeline.simulate.primitives import quad
from pipeline.simulate.world import Lamp, Material, Shape, Thing, World, assemble

ROLES = ("bed", "chair", "sofa", "dining table", "desk", "bookshelf", "cabinet", "toilet", "sink",
         "bathtub", "refrigerator", "floor plant", "armchair", "coffee table")


def build_room(seed: int, catalogue: Catalogue, split: str) -> World:
    """A room with furniture of one split of the catalogue's models, wholly given by `seed`."""
    rng = np.random.default_rng([seed])
    w, d = rng.uniform(3.5, 6, 2)
    h = 2.6
    wall = Material(np.array([0.8, 0.78, 0.7], np.float32))
    floor = Material(np.array([0.5, 0.4, 0.3], np.float32))
    ceiling = Material(np.array([0.9, 0.9, 0.9], np.float32))
    parts: list[tuple[Thing, Shape]] = []
    c = np.array([[0, 0], [w, 0], [w, d], [0, d]])
    z = lambda i, t: [*c[i % 4], t]
    parts.append((Thing("floor", 2, "procedural:floor"), quad([z(0, 0), z(1, 0), z(2, 0), z(3, 0)], floor)))
    parts.append((Thing("ceiling", 22, "procedural:ceiling"), quad([z(3, h), z(2, h), z(1, h), z(0, h)], ceiling)))
    for i in range(4):
        parts.append((Thing("wall", 1, "procedural:wall"), quad([z(i + 1, 0), z(i, 0), z(i, h), z(i + 1, h)], wall)))
    boxes: list[tuple[float, float, float]] = []
    for role in rng.permutation(ROLES):
        models = catalogue.models(str(role), split)
        if not models:
            continue
        model = models[rng.integers(len(models))]
        shape = catalogue.shape(model)
        r = np.hypot(*model.size[:2]) / 2
        if shape is None or 2 * r > min(w, d) - 0.2:
            continue
        for _ in range(20):
            x, y = rng.uniform(r, w - r), rng.uniform(r, d - r)
            if all(np.hypot(x - a, y - b) > r + q for a, b, q in boxes):
                boxes.append((x, y, r))
                parts.append((Thing(model.kind.name, model.kind.nyu40, model.id), shape.moved((x, y, 0), rng.uniform(0, 6.28))))
                break
    lamps = [Lamp((w / 2, d / 2, h - 0.3), (3.0, 2.9, 2.6))]
    return assemble(parts, c, h, lamps)
