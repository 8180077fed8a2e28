"""A furnished room from a seed."""

import numpy as np

from pipeline.simulate import shell
from pipeline.simulate.catalogue import SPLITS, Catalogue
from pipeline.simulate.furnish import Furnisher
from pipeline.simulate.items import Store
from pipeline.simulate.layout import Layout
from pipeline.simulate.plans import PLANS
from pipeline.simulate.world import Lamp, World, assemble


def build_room(seed: int, catalogue: Catalogue, split: str) -> World:
    """A furnished room, determined by `seed` and the models of the catalogue's `split`.

    The type of room goes round with the seed (bedroom, kitchen, ...), so that a few seeds in a
    row hold all types. What is made here (walls, pictures, curtains) also differs by split.
    """
    rng = np.random.default_rng([SPLITS.index(split), seed])
    _, plan, shortest, longest, curtained, sill, wet = PLANS[seed % len(PLANS)]
    layout = Layout(shell.outline(rng, shortest, longest), float(rng.uniform(2.4, 2.9)))
    store = Store(catalogue, split)
    furnisher = Furnisher(layout, store, rng)

    shell.doors(layout, store, rng)
    daylight = shell.windows(layout, store, rng, curtained, sill, int(rng.integers(1, 3)))
    if furnisher.chance(0.4):
        furnisher.stand("radiator")
    plan(furnisher)
    shell.pictures(layout, rng, int(rng.integers(1, 5)))
    if furnisher.chance(0.06):
        furnisher.scatter("person", 1, 0.2)
    lamps = [*daylight, *_ceiling_lamps(furnisher)]
    return assemble(
        [*shell.bare(layout, rng, wet), *layout.parts],
        layout.outline,
        layout.height,
        lamps,
        ambient=tuple(rng.uniform(0.35, 0.7) * rng.uniform(0.92, 1.08, 3)),
        exposure=float(rng.uniform(0.8, 1.3)),
    )


def _ceiling_lamps(f: Furnisher) -> list[Lamp]:
    """One or two lamps at the ceiling, with their fittings, warm or cold."""
    lamps = []
    warmth = f.rng.uniform()
    color = np.array([1.0, 0.95 - 0.15 * warmth, 0.9 - 0.4 * warmth]) * f.rng.uniform(1.5, 3.5)
    low, high = f.layout.outline.min(0), f.layout.outline.max(0)
    for share in ((0.5,), (0.3, 0.7))[f.rng.integers(2)]:
        spot = low + (high - low) * share * np.array([1, 1])
        fitting = f.store.take("ceiling lamp", f.rng, tallest=0.7)
        below = f.layout.height - 0.1
        if fitting is not None:
            below -= float(fitting.size[2])
            f.layout.put(fitting, spot, f.rng.uniform(0, 6), f.layout.height - fitting.size[2])
        lamps.append(Lamp((float(spot[0]), float(spot[1]), below), tuple(color)))
    return lamps
