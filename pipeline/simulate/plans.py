"""The content of each type of room, the largest things first."""

from collections.abc import Callable

import numpy as np

from pipeline.simulate import cloths, kitchen
from pipeline.simulate.furnish import Furnisher


def bedroom(f: Furnisher) -> None:
    """A bed, a wardrobe, something to sit or write at, clothes and toys about."""
    f.sleeping()
    f.stand("wardrobe")
    if f.chance(0.6):
        f.desk()
    f.stand("dresser" if f.chance(0.5) else "cabinet", 1.7)
    if f.chance(0.6):
        f.shelf()
    if f.chance(0.5):
        f.scatter("armchair", 1, 0.15)
    if f.chance(0.4):
        f.scatter("small chair", 1)
    f.scatter("floor thing", f.some(2, 4))
    f.scatter("floor plant", 1)


def living_room(f: Furnisher) -> None:
    """A sofa group, a television, shelves, plants and sometimes a dining table."""
    f.sitting()
    f.television()
    f.shelf()
    if f.chance(0.6):
        f.table_with_chairs()
    f.stand("cabinet", 1.7)
    if f.chance(0.5):
        f.stand("other", 1.6)
    if f.chance(0.4):
        f.stand("sofa", 2.0)
    if f.chance(0.5):
        f.stand("floor lamp")
    f.scatter("floor plant", f.some(1, 2))
    f.scatter("floor thing", f.some(0, 2))


def office(f: Furnisher) -> None:
    """Desks with chairs, shelves, cabinets, a board, a bin."""
    for _ in range(f.some(2, 3)):
        f.desk()
    f.shelf()
    f.stand("cabinet", 2.2)
    if f.chance(0.5):
        board = cloths.whiteboard(f.rng)
        f.layout.against(board, f.rng, z=board.elevation)
    if f.chance(0.4):
        f.stand("sofa", 2.1)
    if f.chance(0.5):
        f.table_with_chairs()
    f.scatter("office chair", 1)
    f.scatter("trash can", 1)
    f.scatter("floor plant", 1)
    f.scatter("floor thing", f.some(0, 2))


def kitchen_room(f: Furnisher) -> None:
    """A run of cabinets, a refrigerator, a stove, an island or a table with chairs."""
    kitchen.kitchen_run(f, int(f.some(3, 5)))
    kitchen.refrigerator(f)
    f.stand("stove")
    if f.chance(0.4):
        f.stand("appliance")
    if f.chance(0.6):
        f.stand("high cabinet")
    if f.chance(0.5):
        kitchen.island(f)
    f.table_with_chairs()
    f.scatter("trash can", 1)
    f.scatter("stool", f.some(0, 2))


def bathroom(f: Furnisher) -> None:
    """A bathtub with a shower curtain, a toilet, a washbasin and their accessories."""
    kitchen.bathing(f)
    f.stand("toilet")
    kitchen.washing(f)
    if f.chance(0.6):
        f.stand("appliance", 0.7)
    if f.chance(0.4):
        f.stand("cabinet", 0.9)
    f.stand("towel rack")
    f.scatter("trash can", int(f.chance(0.6)))
    f.scatter("stool", int(f.chance(0.4)))
    f.scatter("floor plant", int(f.chance(0.3)))


def classroom(f: Furnisher) -> None:
    """Rows of tables that face a board."""
    board = cloths.whiteboard(f.rng)
    hung = f.layout.against(board, f.rng, z=board.elevation)
    table, chair = f.store.take("desk", f.rng, 1.7), f.store.take("chair", f.rng)
    if hung and table and chair:
        pitch_x = float(table.size[0]) + 0.5
        pitch_y = float(table.size[1] + chair.size[1]) + 0.45
        for row in range(3):
            for x in (-1, 0, 1):
                # One sits at the front of a desk: its back faces the board.
                spot = hung.at(x * pitch_x, -1.7 - row * pitch_y)
                placed = f.layout.put(table, spot, hung.turn)
                if placed:
                    away = (table.size[1] + chair.size[1]) / 2 + 0.03
                    turn = hung.turn + np.pi + f.rng.normal(0, 0.1)
                    f.layout.put(chair, placed.at(0, -away), turn)
                    f.cover(placed, ("table thing", "desk thing"), 1)
    f.shelf()
    f.shelf()
    f.stand("cabinet", 2.2)
    f.scatter("trash can", 1)
    f.scatter("floor plant", 1)
    f.scatter("floor thing", 2)


def studio(f: Furnisher) -> None:
    """One room for everything: a bed, a sofa, a small kitchen, a table."""
    f.sleeping()
    kitchen.kitchen_run(f, 2)
    kitchen.refrigerator(f)
    f.sitting()
    f.table_with_chairs(2)
    f.shelf()
    f.stand("wardrobe", 1.8)
    f.television()
    f.scatter("floor plant", 1)
    f.scatter("floor thing", f.some(1, 3))


def storage(f: Furnisher) -> None:
    """Shelves, cabinets and appliances, with boxes and other things between them."""
    for _ in range(f.some(2, 3)):
        f.shelf()
    f.stand("cabinet")
    f.stand("wardrobe")
    if f.chance(0.6):
        kitchen.refrigerator(f)
    f.stand("appliance")
    f.stand("other", 1.6)
    if f.chance(0.5):
        f.stand("bench")
    if f.chance(0.5):
        kitchen.washing(f)
    table = f.stand("dining table")
    f.cover(table, ("floor thing", "table thing", "table lamp"), 4)
    f.scatter("chair", f.some(1, 3))
    f.scatter("floor thing", f.some(5, 8))
    f.scatter("trash can", 1)


# Name, plan, shortest and longest side in metres, probability of curtains, lowest window sill in
# metres (above worktops), tiled floor.
Plan = Callable[[Furnisher], None]
PLANS: tuple[tuple[str, Plan, float, float, float, float, bool], ...] = (
    ("bedroom", bedroom, 3.8, 5.4, 0.85, 0.0, False),
    ("kitchen", kitchen_room, 3.8, 5.2, 0.4, 1.15, True),
    ("living room", living_room, 4.2, 6.0, 0.8, 0.0, False),
    ("bathroom", bathroom, 2.6, 3.6, 0.3, 1.2, True),
    ("office", office, 4.0, 5.6, 0.5, 0.7, False),
    ("studio", studio, 5.0, 6.5, 0.8, 0.0, False),
    ("classroom", classroom, 4.8, 6.5, 0.4, 0.7, False),
    ("storage", storage, 3.8, 5.2, 0.2, 0.9, False),
)
