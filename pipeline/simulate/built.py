"""Procedural things of boards and sheet metal: refrigerators, counters, bookshelves, bathtubs,
windows."""

import numpy as np

from pipeline.simulate.items import Item
from pipeline.simulate.patterns import any_color, hsv, outdoors, plain, wood_color, worktop
from pipeline.simulate.primitives import box, quad, sheet
from pipeline.simulate.world import Material, Shape, Thing, join


def refrigerator(rng: np.random.Generator) -> Item:
    """An upright refrigerator with one door, a freezer door, or two doors side by side."""
    wide = rng.uniform() < 0.3
    w, d = (rng.uniform(0.85, 0.95) if wide else rng.uniform(0.55, 0.7)), rng.uniform(0.6, 0.72)
    h = rng.uniform(0.85, 1.9)
    colors = [hsv(0, 0, 0.93), hsv(0.6, 0.03, 0.7), hsv(0, 0, 0.15), any_color(rng)]
    body = plain(colors[rng.choice(4, p=[0.45, 0.3, 0.1, 0.15])])
    metal, dark = plain((0.55, 0.56, 0.58)), plain((0.12, 0.12, 0.12))
    y = -d / 2
    parts = [
        box((-w / 2, y + 0.06, 0.04), (w / 2, d / 2, h), body),
        box((-w / 2 + 0.02, y + 0.08, 0), (w / 2 - 0.02, d / 2 - 0.02, 0.04), dark),
    ]
    cut = h * rng.uniform(0.3, 0.7)
    if wide:
        doors = [(-w / 2, -0.004, 0.05, h, -0.03), (0.004, w / 2, 0.05, h, 0.03)]
    elif h < 1.1:
        doors = [(-w / 2, w / 2, 0.05, h, w / 2 - 0.06)]
    else:
        doors = [
            (-w / 2, w / 2, 0.05, cut - 0.006, w / 2 - 0.06),
            (-w / 2, w / 2, cut + 0.006, h, w / 2 - 0.06),
        ]
    for left, right, low, high, grip in doors:
        parts.append(box((left, y, low), (right, y + 0.055, high), body))
        a = low + 0.25 * (high - low)
        b = min(high - 0.05, a + 0.45)
        parts.append(box((grip - 0.012, y - 0.035, a), (grip + 0.012, y - 0.012, b), metal))
    name = f"procedural:refrigerator-{rng.integers(10**6)}"
    return Item(Thing("refrigerator", 24, name), join(parts))


def counter(width: float, rng: np.random.Generator) -> Item:
    """A free-standing counter or kitchen island: panels, a plinth, an overhanging worktop."""
    d, h = rng.uniform(0.6, 0.8), rng.uniform(0.88, 1.05)
    panel = plain(wood_color(rng) if rng.uniform() < 0.5 else any_color(rng))
    w = width / 2
    parts = [
        box((-w + 0.06, -d / 2 + 0.08, 0), (w - 0.06, d / 2 - 0.08, 0.1), plain((0.15,) * 3)),
        box((-w + 0.03, -d / 2 + 0.04, 0.1), (w - 0.03, d / 2 - 0.04, h - 0.05), panel),
        box((-w, -d / 2, h - 0.05), (w, d / 2, h), worktop(rng), 0.6),
    ]
    name = f"procedural:counter-{rng.integers(10**6)}"
    return Item(Thing("kitchen counter", 12, name), join(parts))


def worktop_run(width: float, depth: float, material: Material) -> Item:
    """The worktop over a run of cabinets, with the upstand along the wall."""
    w = width / 2
    slab = box((-w, -depth / 2, 0), (w, depth / 2, 0.05), material, 0.6)
    upstand = box((-w, depth / 2 - 0.02, 0.05), (w, depth / 2, 0.15), material, 0.6)
    return Item(Thing("kitchen counter", 12, "procedural:worktop"), join([slab, upstand]))


def inset_sink(rng: np.random.Generator) -> Item:
    """A sink on a worktop: a rim, a basin that looks deep, a faucet."""
    w, d = rng.uniform(0.45, 0.75), rng.uniform(0.4, 0.46)
    steel = plain(hsv(0.6, 0.04, rng.uniform(0.6, 0.9)))
    deep = plain(hsv(0.6, 0.04, rng.uniform(0.35, 0.55)))
    rim, low, high = 0.04, 0.004, 0.06
    parts = [
        box((-w / 2, -d / 2, 0), (w / 2, -d / 2 + rim, high), steel),
        box((-w / 2, d / 2 - 2 * rim, 0), (w / 2, d / 2, high), steel),
        box((-w / 2, -d / 2, 0), (-w / 2 + rim, d / 2, high), steel),
        box((w / 2 - rim, -d / 2, 0), (w / 2, d / 2, high), steel),
        box((-w / 2, -d / 2, 0), (w / 2, d / 2, low), deep),
    ]
    y = d / 2 - rim
    parts.append(box((-0.015, y - 0.015, high), (0.015, y + 0.015, 0.3), steel))
    parts.append(box((-0.012, y - 0.2, 0.28), (0.012, y, 0.3), steel))
    return Item(Thing("sink", 34, f"procedural:sink-{rng.integers(10**6)}"), join(parts))


def bookshelf(rng: np.random.Generator) -> Item:
    """An open bookshelf with books on most of its boards."""
    w, d, h = rng.uniform(0.6, 1.2), rng.uniform(0.26, 0.36), rng.uniform(1.2, 2.1)
    board = plain(wood_color(rng) if rng.uniform() < 0.7 else hsv(0, 0, rng.uniform(0.1, 0.95)))
    t = 0.022
    parts = [
        box((-w / 2, -d / 2, 0), (-w / 2 + t, d / 2, h), board),
        box((w / 2 - t, -d / 2, 0), (w / 2, d / 2, h), board),
        box((-w / 2, d / 2 - 0.01, 0), (w / 2, d / 2, h), board),
    ]
    levels = np.linspace(0.05, h - t, int(h / rng.uniform(0.28, 0.38)) + 1)
    for level in levels:
        parts.append(box((-w / 2 + t, -d / 2, level), (w / 2 - t, d / 2, level + t), board))
    for low, high in zip(levels[:-1] + t, levels[1:], strict=True):
        if rng.uniform() < 0.85:
            parts.append(books(w - 2 * t, high - low, d - 0.03, rng).moved((0, 0, low)))
    name = f"procedural:bookshelf-{rng.integers(10**6)}"
    return Item(Thing("bookshelf", 10, name), join(parts))


def books(width: float, height: float, depth: float, rng: np.random.Generator) -> Shape:
    """A row of upright books in part of a shelf of this inner size."""
    spines = [plain(any_color(rng)) for _ in range(6)]
    parts, x = [], -width / 2
    end = width / 2 - rng.uniform(0, 0.4) * width
    while x + 0.05 < end:
        thick = rng.uniform(0.018, 0.05)
        tall = height * rng.uniform(0.6, 0.92)
        front = -depth / 2 + rng.uniform(0.01, 0.06)
        spine = spines[rng.integers(len(spines))]
        parts.append(box((x, front, 0), (x + thick * 0.96, depth / 2, tall), spine))
        x += thick
    return join(parts) if parts else box((x, 0, 0), (x + 0.03, 0.1, height / 2), spines[0])


def bathtub(rng: np.random.Generator) -> Item:
    """A built-in bathtub: apron, rim and a rounded hollow."""
    w, d, h = rng.uniform(1.5, 1.8), rng.uniform(0.68, 0.8), rng.uniform(0.5, 0.6)
    white = plain(hsv(rng.uniform(), rng.choice([0.02, 0.02, 0.25]), 0.95))
    a, b = np.meshgrid(np.linspace(0, 2 * np.pi, 41), np.linspace(0, 1, 9))
    power, rim = 0.45, 0.07
    c, s = np.cos(a), np.sin(a)
    round_x, round_y = np.sign(c) * np.abs(c) ** power, np.sign(s) * np.abs(s) ** power
    shrink = 1 - 0.3 * b**3
    x, y = (w / 2 - rim) * round_x * shrink, (d / 2 - rim) * round_y * shrink
    z = h - (h - 0.12) * np.sin(b * np.pi / 2)
    hollow = sheet(np.stack([x, y, z], -1), white)
    outer_x = (w / 2) * np.clip(round_x[0] * 1.2, -1, 1)
    outer_y = (d / 2) * np.clip(round_y[0] * 1.2, -1, 1)
    top = np.stack([outer_x, outer_y, np.full(41, h)], -1)
    edge = np.stack([x[0], y[0], np.full(41, h)], -1)
    foot = top * [1, 1, 0]
    parts = [hollow, sheet(np.stack([top, edge]), white), sheet(np.stack([foot, top]), white)]
    floor = np.stack([x[-1], y[-1], z[-1]], -1)
    parts.append(sheet(np.stack([floor, np.broadcast_to(floor.mean(0), floor.shape)]), white))
    tap = plain((0.7, 0.7, 0.72))
    parts.append(box((w / 2 - 0.05, -0.02, h), (w / 2 - 0.02, 0.02, h + 0.14), tap))
    parts.append(box((w / 2 - 0.17, -0.015, h + 0.12), (w / 2 - 0.03, 0.015, h + 0.14), tap))
    return Item(Thing("bathtub", 36, f"procedural:bathtub-{rng.integers(10**6)}"), join(parts))


def window(rng: np.random.Generator, tallest: float) -> Item:
    """A window of one to three panes with a sill and the outdoors behind them."""
    w, h = rng.uniform(0.8, 2.0), min(rng.uniform(0.9, 1.5), tallest)
    white = rng.uniform() < 0.6
    frame = plain(hsv(0, 0, 0.95) if white else wood_color(rng))
    rail, x, y = 0.055, w / 2, 0.03
    view = np.array([[-x, y, 0], [x, y, 0], [x, y, h], [-x, y, h]])
    parts = [
        quad(view, outdoors(rng), (w, h)),
        box((-x, -0.03, 0), (x, 0.04, rail), frame),
        box((-x, -0.03, h - rail), (x, 0.04, h), frame),
        box((-x - 0.05, -0.12, -0.03), (x + 0.05, 0.04, 0), frame),
    ]
    for post in np.linspace(-x, x - rail, int(w / rng.uniform(0.5, 0.9)) + 2):
        parts.append(box((post, -0.03, 0), (post + rail, 0.04, h), frame))
    if rng.uniform() < 0.4:
        parts.append(box((-x, -0.025, h * 0.6), (x, 0.035, h * 0.6 + rail * 0.7), frame))
    shape = join(parts).moved((0, 0, 0.03))
    name = f"procedural:window-{rng.integers(10**6)}"
    return Item(Thing("window", 9, name), shape, float(rng.uniform(0.75, 1.0)))
