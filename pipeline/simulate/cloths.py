"""Procedural things of cloth: curtains, shower curtains, pillows; and pictures and mirrors."""

import numpy as np

from pipeline.simulate.items import Item
from pipeline.simulate.paintings import painting
from pipeline.simulate.patterns import cloth, hsv, picture, plain, wood_color
from pipeline.simulate.primitives import box, quad, sheet
from pipeline.simulate.world import Material, Shape, Thing, join


def _folds(width: float, height: float, rng: np.random.Generator, material: Material) -> Shape:
    """A hanging cloth with folds that widen downwards."""
    waves = max(2, round(width / rng.uniform(0.1, 0.2)))
    u = np.linspace(0, 1, waves * 8 + 1)
    v = np.linspace(0, 1, 9)[:, None]
    depth = rng.uniform(0.025, 0.05) * (1.2 - 0.5 * v)
    sway = 0.01 * np.sin(2 * np.pi * (u * 1.7 + rng.uniform()))
    y = depth * np.sin(2 * np.pi * waves * u + 0.6 * np.sin(3 * np.pi * v)) + sway * (1 - v)
    x = np.broadcast_to((u - 0.5) * width, y.shape)
    z = np.broadcast_to(v * height, y.shape)
    return sheet(np.stack([x, y, z], -1), material, (width / 0.8, height / 0.8))


def curtain(width: float, height: float, rng: np.random.Generator) -> Item:
    """A curtain of this size, drawn back or spread."""
    shape = _folds(width, height, rng, cloth(rng))
    return Item(Thing("curtain", 16, f"procedural:curtain-{rng.integers(10**6)}"), shape)


def curtain_rod(width: float, rng: np.random.Generator) -> Item:
    """The rod that curtains hang from."""
    rod = box((-width / 2, -0.012, 0), (width / 2, 0.012, 0.025), plain(wood_color(rng)))
    return Item(Thing("curtain rod", 40, "procedural:rod"), rod)


def shower_curtain(width: float, height: float, rng: np.random.Generator) -> Item:
    """A shower curtain: thin cloth, brightly patterned or white, with its rod."""
    material = cloth(rng) if rng.uniform() < 0.75 else plain(hsv(rng.uniform(), 0.06, 0.95))
    shape = _folds(width, height, rng, material)
    rod = box((-width / 2, -0.012, height), (width / 2, 0.012, height + 0.024), plain((0.8,) * 3))
    name = f"procedural:shower-curtain-{rng.integers(10**6)}"
    return Item(Thing("shower curtain", 28, name), join([shape, rod]))


def pillow(rng: np.random.Generator) -> Item:
    """A pillow that lies flat."""
    w, d, h = rng.uniform(0.38, 0.65), rng.uniform(0.35, 0.45), rng.uniform(0.1, 0.15)
    a, b = np.meshgrid(np.linspace(-np.pi, np.pi, 25), np.linspace(-np.pi / 2, np.pi / 2, 11))
    power = 0.4

    def rounded(value: np.ndarray) -> np.ndarray:
        return np.sign(value) * np.abs(value) ** power

    x = rounded(np.cos(a)) * rounded(np.cos(b)) * w / 2
    y = rounded(np.sin(a)) * rounded(np.cos(b)) * d / 2
    # Thinner towards its rim, like a filled bag.
    rim = np.maximum(np.abs(x) / (w / 2), np.abs(y) / (d / 2))
    z = np.sin(b) * (1 - 0.75 * rim**3) * h / 2 + h / 2
    shape = sheet(np.stack([x, y, z], -1), cloth(rng), (2, 1))
    return Item(Thing("pillow", 18, f"procedural:pillow-{rng.integers(10**6)}"), shape)


def _framed(
    width: float, height: float, face: Material, frame: Material, rail: float, mount: float
) -> Shape:
    """An upright rectangle `face` in a frame, its back at y = 0.015, its front towards -y."""
    w, h = width / 2, height
    bars = [
        box((-w, -0.015, 0), (w, 0.015, rail), frame),
        box((-w, -0.015, h - rail), (w, 0.015, h), frame),
        box((-w, -0.015, rail), (-w + rail, 0.015, h - rail), frame),
        box((w - rail, -0.015, rail), (w, 0.015, h - rail), frame),
        box((-w, 0.0, 0), (w, 0.015, h), plain((0.93, 0.92, 0.88))),
    ]
    x, low, high = w - rail - mount, rail + mount, h - rail - mount
    y = -0.004
    corners = np.array([[-x, y, low], [x, y, low], [x, y, high], [-x, y, high]])
    return join([*bars, quad(corners, face, (2 * x, high - low))])


def framed_picture(rng: np.random.Generator) -> Item:
    """A framed painting or an unframed poster."""
    width, height = rng.uniform(0.35, 1.1), rng.uniform(0.3, 0.8)
    color = wood_color(rng) if rng.uniform() < 0.6 else hsv(0.12, 0.5 * rng.uniform(), 0.8)
    mount = float(rng.choice([0.0, 0.03, 0.06]))
    rail = float(rng.uniform(0.015, 0.05))
    shape = _framed(width, height, painting(rng), plain(color), rail, mount)
    name = str(rng.choice(["picture", "picture", "painting", "poster"]))
    return Item(Thing(name, 11, f"procedural:picture-{rng.integers(10**6)}"), shape, 1.3)


def mirror(rng: np.random.Generator) -> Item:
    """A wall mirror: its reflection is a pale gradient."""
    width, height = rng.uniform(0.4, 0.9), rng.uniform(0.5, 0.9)
    ramp = np.linspace(0.85, 0.55, 32)[:, None, None] * np.array([0.92, 0.97, 1.0])
    face = Material(np.full(3, 0.7, np.float32), picture(np.repeat(ramp, 32, 1)))
    shape = _framed(width, height, face, plain(wood_color(rng)), 0.02, 0.0)
    return Item(Thing("mirror", 19, "procedural:mirror"), shape, 1.15)


def whiteboard(rng: np.random.Generator) -> Item:
    """A wide board on the wall."""
    width, height = rng.uniform(1.5, 2.4), rng.uniform(0.9, 1.2)
    shape = _framed(width, height, plain((0.95, 0.96, 0.96)), plain((0.6, 0.6, 0.62)), 0.025, 0.0)
    return Item(Thing("whiteboard", 30, "procedural:whiteboard"), shape, 0.95)
