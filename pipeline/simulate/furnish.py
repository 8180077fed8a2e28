"""Groups of things that belong together: a table with its chairs, a desk, a kitchen."""

from dataclasses import dataclass

import numpy as np

from pipeline.simulate import built, cloths
from pipeline.simulate.footprints import footprint
from pipeline.simulate.items import Store
from pipeline.simulate.layout import Layout, Placed, Wall


@dataclass(frozen=True, eq=False)
class Furnisher:
    """Puts groups of things into a layout."""

    layout: Layout
    store: Store
    rng: np.random.Generator

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.rng.uniform() < probability)

    def some(self, least: int, most: int) -> int:
        """A random integer from `least` to `most`, inclusive."""
        return int(self.rng.integers(least, most + 1))

    def stand(self, role: str, widest: float = 2.6, walls: tuple[Wall, ...] = ()) -> Placed | None:
        """Something of a role against a wall, at its own elevation."""
        item = self.store.take(role, self.rng, widest, self.layout.height - 0.05)
        if item is None:
            return None
        return self.layout.against(item, self.rng, walls, z=item.elevation)

    def scatter(self, role: str, count: int, margin: float = 0.05) -> None:
        """Things of a role anywhere on the floor."""
        for _ in range(count):
            if item := self.store.take(role, self.rng, 1.2):
                self.layout.anywhere(item, self.rng, margin=margin)

    def cover(self, below: Placed | None, roles: tuple[str, ...], count: int) -> None:
        """Up to `count` things of these roles on top of another one."""
        for _ in range(count if below else 0):
            role = roles[self.rng.integers(len(roles))]
            item = self.store.take(role, self.rng, 0.7, 0.75)
            if below and item:
                self.layout.on_top(item, below, self.rng)

    def pillows(self, below: Placed | None, count: int) -> None:
        """Pillows on a bed or sofa."""
        for _ in range(count if below else 0):
            if below:
                self.layout.on_top(cloths.pillow(self.rng), below, self.rng, uneven=0.08)

    def facing(self, role: str, front: Placed | None, distance: float, shift: float = 0) -> None:
        """A seat before the front of a desk or table, facing it."""
        item = self.store.take(role, self.rng)
        if front is None or item is None:
            return
        away = front.item.size[1] / 2 + item.size[1] / 2 + distance
        turn = front.turn + np.pi + self.rng.normal(0, 0.25)
        for step in (0.0, 0.1, 0.25, 0.4):
            if self.layout.put(item, front.at(shift, -away - step), turn):
                return

    def rug(self, near: Placed | None, forward: float) -> None:
        """A rug on the floor before something."""
        item = self.store.take("rug", self.rng)
        if near is None or item is None:
            return
        if item.size[0] < 1:
            item = item.scaled(self.rng.uniform(1.0, 1.6) * np.array([1, 1, 0]) + [0, 0, 1])
        spot = near.at(0, -near.item.size[1] / 2 - forward)
        if self.layout.inside(footprint(item.size, spot, near.turn)):
            self.layout.put(item, spot, near.turn, 0.003, solid=False)

    def desk(self, walls: tuple[Wall, ...] = ()) -> Placed | None:
        """A desk at a wall with a chair, a computer and small objects."""
        desk = self.stand("desk", walls=walls)
        self.facing("office chair" if self.chance(0.7) else "chair", desk, 0.05)
        self.cover(desk, ("desk thing", "desk thing", "television", "table lamp", "table thing"), 5)
        self.cover(desk, ("photo frame", "table plant"), 1)
        return desk

    def table_with_chairs(self, most: int = 4) -> Placed | None:
        """A table in the room with chairs on its sides and things on it."""
        item = self.store.take("dining table", self.rng, 2.0)
        if item is None:
            return None
        table = self.layout.anywhere(item, self.rng, margin=0.5)
        table = table or self.layout.anywhere(item, self.rng, margin=0.15)
        if table is None:
            return None
        width, depth = table.item.size[:2]
        seats = [(0.0, 1), (0.0, -1), (1.0, 0), (-1.0, 0)]
        if width > 1.4:
            seats = [(0.5, 1), (0.5, -1), (-0.5, 1), (-0.5, -1), (1.0, 0), (-1.0, 0)]
        chair = self.store.take("chair", self.rng)
        for index in self.rng.permutation(len(seats))[:most]:
            if chair is None:
                break
            x, y = seats[index]
            gap = chair.size[1] / 2 + self.rng.uniform(0.01, 0.12)
            # A chair's front (-y) faces the table.
            if y:
                spot = table.at(x * width / 2, y * (depth / 2 + gap))
                turn = 0 if y > 0 else np.pi
            else:
                spot, turn = table.at(x * (width / 2 + gap), 0), -x * np.pi / 2
            self.layout.put(chair, spot, table.turn + turn + self.rng.normal(0, 0.15))
        self.cover(table, ("table thing", "table thing", "table plant", "table lamp"), 4)
        return table

    def sleeping(self) -> Placed | None:
        """A bed with its head to a wall, night stands beside it and a rug before it."""
        bed = self.stand("bed" if self.chance(0.75) else "small bed")
        if bed is None:
            bed = self.stand("small bed") or self.stand("bed", 1.5)
        if bed is None:
            return None
        width, depth = bed.item.size[:2]
        stand = self.store.take("night stand", self.rng)
        for side in (-1, 1):
            if stand is not None:
                x = side * (width / 2 + stand.size[0] / 2 + 0.04)
                spot = bed.at(x, depth / 2 - stand.size[1] / 2)
                self.cover(
                    self.layout.put(stand, spot, bed.turn),
                    ("table lamp", "photo frame", "table thing"),
                    2,
                )
        self.pillows(bed, self.some(1, 3))
        self.rug(bed, 0.1)
        return bed

    def sitting(self) -> Placed | None:
        """A sofa with a coffee table in front of it and armchairs around."""
        sofa = self.stand("corner sofa", 2.7) if self.chance(0.25) else None
        sofa = sofa or self.stand("sofa")
        if sofa is None:
            return None
        self.rug(sofa, 0.5)
        table = self.store.take("coffee table", self.rng, 1.6)
        if table is not None:
            away = sofa.item.size[1] / 2 + table.size[1] / 2 + 0.35
            placed = self.layout.put(table, sofa.at(0, -away), sofa.turn)
            self.cover(placed, ("table thing", "table plant", "table thing"), 3)
        self.pillows(sofa, self.some(0, 3))
        for side in (-1, 1):
            if self.chance(0.6) and (seat := self.store.take("armchair", self.rng)) is not None:
                x = side * (sofa.item.size[0] / 2 + seat.size[1] / 2 + 0.1)
                self.layout.put(seat, sofa.at(x, -1.1), sofa.turn - side * np.pi / 2)
        return sofa

    def television(self) -> None:
        """A television on a stand, a low cabinet, or the wall."""
        wall_set = self.store.take("wall tv", self.rng)
        if wall_set is not None and self.chance(0.4):
            self.layout.against(wall_set, self.rng, z=1.0)
            return
        stand = self.stand("tv stand") or self.stand("cabinet", 1.8)
        self.cover(stand, ("television",), 1)
        self.cover(stand, ("table thing", "table plant", "photo frame"), 2)

    def shelf(self) -> None:
        """A bookshelf of the catalogue or a procedural one with books."""
        if self.chance(0.4) and self.stand("bookshelf"):
            return
        self.layout.against(built.bookshelf(self.rng), self.rng)
