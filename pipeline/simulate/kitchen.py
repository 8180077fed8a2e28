"""The fittings of kitchens and bathrooms."""

import numpy as np

from pipeline.simulate import built, cloths, patterns
from pipeline.simulate.footprints import footprint
from pipeline.simulate.furnish import Furnisher
from pipeline.simulate.items import Item
from pipeline.simulate.layout import Wall


def kitchen_run(f: Furnisher, units: int) -> None:
    """Cabinets side by side along a wall under one worktop with a sink in it, wall cabinets above
    and a refrigerator at the end."""
    base = [item for _ in range(2) if (item := f.store.take("lower cabinet", f.rng)) is not None]
    if not base:
        return
    row = [base[f.rng.integers(len(base))] for _ in range(units)]
    depth = max(float(item.size[1]) for item in row)
    height = max(float(item.size[2]) for item in row)
    width = sum(float(item.size[0]) for item in row)
    for wall in [f.layout.walls[i] for i in f.rng.permutation(len(f.layout.walls))]:
        for start in _starts(f, wall, width):
            centre = wall.start + wall.along * (start + width / 2) + wall.normal * depth / 2
            if f.layout.fits(footprint([width, depth], centre, wall.turn), 0, height + 0.2):
                _build_run(f, wall, start, row, depth, height)
                return
    if units > 2:
        kitchen_run(f, units - 1)


def _starts(f: Furnisher, wall: Wall, width: float) -> list[float]:
    spare = wall.length - width
    if spare < 0:
        return []
    return [0.0, spare, *f.rng.uniform(0, spare, 4)]


def _build_run(
    f: Furnisher, wall: Wall, start: float, row: list[Item], depth: float, height: float
) -> None:
    at = start
    for item in row:
        middle = at + float(item.size[0]) / 2
        away = depth - float(item.size[1]) / 2
        spot = wall.start + wall.along * middle + wall.normal * away
        f.layout.put(item, spot, wall.turn)
        at += float(item.size[0])
    width = at - start
    spot = wall.start + wall.along * (start + width / 2) + wall.normal * (depth / 2 + 0.012)
    worktop = built.worktop_run(width, depth + 0.02, patterns.worktop(f.rng))
    top = f.layout.put(worktop, spot, wall.turn, height)
    if top is None:
        return
    sink = built.inset_sink(f.rng)
    for share in f.rng.permutation(np.linspace(-0.5, 0.5, 9)):
        x = share * max(width - float(sink.size[0]) - 0.1, 0)
        if f.layout.put(sink, top.at(x, -0.02), wall.turn, height + 0.05, on=top.box):
            break
    f.cover(top, ("kitchen thing",), 4)
    above = f.store.take("wall cabinet", f.rng)
    if above is not None and f.chance(0.8):
        step = float(above.size[0])
        for place in np.arange(start + step / 2, at - step / 2 + 1e-6, step):
            spot = wall.start + wall.along * place + wall.normal * (float(above.size[1]) / 2)
            f.layout.put(above, spot, wall.turn, 1.5)


def refrigerator(f: Furnisher) -> None:
    """A refrigerator of the catalogue or a procedural one."""
    if not (f.chance(0.4) and f.stand("refrigerator")):
        f.layout.against(built.refrigerator(f.rng), f.rng)


def island(f: Furnisher) -> None:
    """A free-standing counter with stools and things on it."""
    item = f.store.take("counter", f.rng) if f.chance(0.3) else None
    item = item or built.counter(float(f.rng.uniform(0.9, 1.8)), f.rng)
    placed = f.layout.anywhere(item, f.rng, margin=0.5) or f.layout.against(item, f.rng)
    f.facing("stool", placed, 0.05, -0.3)
    f.facing("stool", placed, 0.05, 0.4)
    f.cover(placed, ("kitchen thing", "table thing"), 3)


def bathing(f: Furnisher) -> None:
    """A bathtub at a wall with a shower curtain before it."""
    tub = None
    if f.chance(0.4):
        tub = f.stand("bathtub", 1.85)
    tub = tub or f.layout.against(built.bathtub(f.rng), f.rng)
    if tub is None:
        return
    width, depth = tub.item.size[:2]
    drawn = float(width * f.rng.uniform(0.35, 0.7))
    sheet = cloths.shower_curtain(drawn, float(f.rng.uniform(1.65, 1.85)), f.rng)
    if f.chance(0.3) and (bought := f.store.take("shower curtain", f.rng)) is not None:
        sheet = bought
    outside = -depth / 2 - float(sheet.size[1]) / 2 - 0.01
    for side in f.rng.permutation([-1, 1]):
        x = side * (width - sheet.size[0]) / 2
        if f.layout.put(sheet, tub.at(x, outside), tub.turn, 0.15):
            break
    else:  # no space in front of the tub: a short curtain that hangs into it
        rim = float(tub.item.size[2])
        inside = cloths.shower_curtain(drawn, f.layout.height - rim - 0.4, f.rng)
        f.layout.put(inside, tub.at(0, 0.06 - depth / 2), tub.turn, rim + 0.01, on=tub.box)
    f.cover(tub, ("bath thing",), 2)


def washing(f: Furnisher) -> None:
    """A washbasin with a mirror above and a soap on it."""
    basin = f.stand("sink")
    if basin is None:
        return
    f.cover(basin, ("bath thing",), 2)
    top = basin.item.elevation + float(basin.item.size[2])
    mirror = cloths.mirror(f.rng)
    if top < 1.15:
        spot = basin.at(0, float(basin.item.size[1]) / 2 - 0.016)
        f.layout.put(mirror, spot, basin.turn, 1.2)
