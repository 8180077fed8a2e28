"""Placement: footprints that never overlap, places along walls and on top of other things."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.footprints import TOUCH, Corners, footprint, notch, overlap, top_heights
from pipeline.simulate.items import Item
from pipeline.simulate.world import Shape, Thing


@dataclass(frozen=True, eq=False)
class Wall:
    """A straight piece of wall; seen from inside it runs from `start` to the left."""

    start: NDArray[np.float64]  # (2,)
    along: NDArray[np.float64]  # (2,) unit
    normal: NDArray[np.float64]  # (2,) unit, into the room
    length: float

    @property
    def turn(self) -> float:
        """Rotation of an item with its back to this wall, radians."""
        return float(np.arctan2(self.normal[0], -self.normal[1]))


@dataclass(frozen=True, eq=False)
class Placed:
    """An item in its place."""

    item: Item
    shape: Shape  # in room coordinates
    position: NDArray[np.float64]  # (2,)
    turn: float
    box: int  # index of its reserved space

    def at(self, x: float, y: float) -> NDArray[np.float64]:
        """Room coordinates (2,) of a point given in the item's own axes (front towards -y)."""
        c, s = np.cos(self.turn), np.sin(self.turn)
        return self.position + np.array([c * x - s * y, s * x + c * y])


class Layout:
    """The things of a room so far, and the space they take."""

    def __init__(self, outline: NDArray[np.float64], height: float) -> None:
        """`outline` (P, 2): the floor, anticlockwise, a rectangle or an L with right angles."""
        self.outline = outline
        self.height = height
        self.parts: list[tuple[Thing, Shape]] = []
        self._low, self._high = outline.min(0), outline.max(0)
        self._taken: list[tuple[Corners, float, float]] = []
        if (missing := notch(outline)) is not None:
            self._taken.append((missing, -1.0, height + 1))
        edges = np.roll(outline, -1, axis=0) - outline
        lengths = np.linalg.norm(edges, axis=1)
        along = edges / lengths[:, None]
        self.walls = [
            Wall(start, a, np.array([-a[1], a[0]]), float(length))
            for start, a, length in zip(outline, along, lengths, strict=True)
        ]

    def inside(self, corners: Corners) -> bool:
        """Whether a rectangle is in the bounding box of the floor."""
        return bool((corners > self._low - TOUCH).all() and (corners < self._high + TOUCH).all())

    def fits(self, corners: Corners, low: float, high: float, without: int = -1) -> bool:
        """Whether a rectangle is free between two heights, ignoring the placed box `without`."""
        if not self.inside(corners) or high > self.height + TOUCH:
            return False
        for index, (taken, bottom, top) in enumerate(self._taken):
            if index == without or high <= bottom + TOUCH or low >= top - TOUCH:
                continue
            if overlap(corners, taken):
                return False
        return True

    def reserve(self, corners: Corners, low: float, high: float) -> int:
        """Reserve a space; returns its index."""
        self._taken.append((corners, low, high))
        return len(self._taken) - 1

    def put(
        self,
        item: Item,
        position: NDArray[np.float64],
        turn: float,
        z: float = 0.0,
        on: int = -1,
        solid: bool = True,
    ) -> Placed | None:
        """The item there if it fits (on top of box `on`), else None. Items that are not solid (a
        rug) always fit and use no space."""
        corners = footprint(item.size, position, turn)
        top = z + float(item.size[2])
        index = -1
        if solid:
            if not self.fits(corners, z, top, without=on):
                return None
            index = self.reserve(corners, z, top)
        shape = item.shape.moved((*position, z), turn)
        self.parts.append((item.thing, shape))
        return Placed(item, shape, np.asarray(position, np.float64), turn, index)

    def against(
        self,
        item: Item,
        rng: np.random.Generator,
        walls: Sequence[Wall] = (),
        z: float = 0.0,
        gap: float = 0.01,
        tries: int = 60,
    ) -> Placed | None:
        """The item with its back to one of the walls (all by default), at a random free spot."""
        width, depth, _ = item.size
        choice = [wall for wall in (walls or self.walls) if wall.length >= width]
        for _ in range(tries if choice else 0):
            wall = choice[rng.integers(len(choice))]
            spare = wall.length - width
            # Furniture likes corners: half of the tries go to an end of the wall.
            share = rng.choice([0.0, 1.0]) if rng.uniform() < 0.5 else rng.uniform()
            along = width / 2 + spare * share
            spot = wall.start + wall.along * along + wall.normal * (depth / 2 + gap)
            if placed := self.put(item, spot, wall.turn, z):
                return placed
        return None

    def anywhere(
        self, item: Item, rng: np.random.Generator, z: float = 0.0, margin: float = 0.0
    ) -> Placed | None:
        """The item at a random free spot, randomly rotated, `margin` metres from other things."""
        for _ in range(40):
            turn = rng.uniform(0, 2 * np.pi)
            spot = rng.uniform(self._low, self._high)
            wide = footprint(item.size + 2 * margin, spot, turn)
            if self.fits(wide, z, z + float(item.size[2])) and (
                placed := self.put(item, spot, turn, z)
            ):
                return placed
        return None

    def on_top(
        self, item: Item, below: Placed, rng: np.random.Generator, uneven: float = 0.012
    ) -> Placed | None:
        """The item at a random spot on another one whose top is level there within `uneven` m."""
        room = np.maximum(below.item.size[:2] - np.minimum(item.size[:2].min(), 0.3), 0.02) / 2
        for _ in range(12):
            spot = below.at(*rng.uniform(-room, room))
            turn = below.turn + rng.normal(0, 0.35)
            corners = footprint(item.size * 0.9, spot, turn)
            tops = top_heights(below.shape, np.vstack([corners, spot[None]]))
            if not np.isfinite(tops).all() or np.ptp(tops) > uneven or tops.min() < 0.15:
                continue
            if placed := self.put(item, spot, turn, float(np.median(tops)), on=below.box):
                return placed
        return None
