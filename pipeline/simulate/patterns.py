"""Procedural textures: floors, walls, cloth, worktops, paintings and the view out of a window.

Every function draws what varies from the `rng` it is given; pictures are u8 (h, w, 3), sRGB.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.world import Material

Picture = NDArray[np.uint8]
_SIDE = 256


def hsv(hue: float, saturation: float, value: float) -> NDArray[np.float64]:
    """sRGB (3,) of hue, saturation and value, all 0..1."""
    k = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    return value * (1 - saturation * np.clip(np.minimum(k, 4 - k), 0, 1))


def any_color(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random colour (3,) of paint or cloth."""
    return hsv(rng.uniform(), rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.95))


def wood_color(rng: np.random.Generator) -> NDArray[np.float64]:
    """A colour (3,) of wood, from ebony to birch."""
    return hsv(rng.uniform(0.05, 0.11), rng.uniform(0.25, 0.65), rng.uniform(0.25, 0.85))


def noise(rng: np.random.Generator, cells: int, side: int = _SIDE) -> NDArray[np.float64]:
    """Smooth repeating noise (side, side), 0..1, with `cells` features along a side."""
    grid = rng.uniform(size=(cells, cells))
    at = np.arange(side) * cells / side
    low = at.astype(int)
    t = at - low
    t = t * t * (3 - 2 * t)
    rows = grid[low] * (1 - t)[:, None] + grid[(low + 1) % cells] * t[:, None]
    return rows[:, low] * (1 - t) + rows[:, (low + 1) % cells] * t


def picture(values: NDArray[np.floating]) -> Picture:
    """u8 picture of values 0..1, clipped."""
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def planks(rng: np.random.Generator) -> Picture:
    """A parquet floor of planks, their grain along the rows."""
    color, count = wood_color(rng), int(rng.choice([4, 6, 8]))
    v, u = np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE
    row = (v * count).astype(int)
    shift = rng.uniform(size=count)[row]
    board = ((u * 2 + shift) % 2).astype(int) + 2 * row
    tone = 1 + rng.normal(0, 0.09, 2 * count)[board]
    grain = 0.9 + 0.2 * (noise(rng, 64)[:, np.arange(_SIDE) // 8] * 0.5 + noise(rng, 16) * 0.5)
    seam = ((v * count) % 1 < 0.04) | (((u * 2 + shift) % 1) < 0.012)
    return picture(color * (tone * grain * np.where(seam, 0.6, 1))[..., None])


def tiles(rng: np.random.Generator) -> Picture:
    """Square tiles with joints, in one colour, as a chequerboard or speckled."""
    count = int(rng.choice([3, 4, 6, 8]))
    one = hsv(rng.uniform(), rng.uniform(0, 0.3), rng.uniform(0.5, 0.95))
    two = one if rng.uniform() < 0.6 else hsv(rng.uniform(), rng.uniform(0, 0.4), rng.uniform())
    v, u = np.mgrid[0:_SIDE, 0:_SIDE] * count / _SIDE
    odd = (u.astype(int) + v.astype(int)) % 2 == 1
    color = np.where(odd[..., None], two, one) * (0.93 + 0.12 * noise(rng, 32))[..., None]
    joint = (u % 1 < 0.012 * count) | (v % 1 < 0.012 * count)
    return picture(np.where(joint[..., None], rng.uniform(0.3, 0.9), color))


def carpet(rng: np.random.Generator) -> Picture:
    """A short-pile carpet."""
    color = hsv(rng.uniform(), rng.uniform(0.05, 0.5), rng.uniform(0.25, 0.75))
    pile = 0.75 + 0.3 * rng.uniform(size=(_SIDE, _SIDE)) + 0.2 * noise(rng, 12)
    return picture(color * pile[..., None])


def plaster(rng: np.random.Generator) -> Picture:
    """A painted wall, almost even."""
    strong = 0.4 if rng.uniform() < 0.25 else 0.15
    color = hsv(rng.uniform(), rng.uniform(0, strong), rng.uniform(0.65, 0.97))
    return picture(color * (0.95 + 0.05 * noise(rng, 8) + 0.03 * noise(rng, 64))[..., None])


def stripes(rng: np.random.Generator) -> Picture:
    """Upright stripes of two colours."""
    one = hsv(rng.uniform(), rng.uniform(0.05, 0.4), rng.uniform(0.55, 0.95))
    two = one * rng.uniform(0.7, 0.95)
    wave = np.sin(np.arange(_SIDE) * 2 * np.pi * rng.integers(2, 9) / _SIDE)
    line = np.where(wave[:, None] > rng.uniform(-0.6, 0.6), one, two)
    return picture(np.repeat(line[None], _SIDE, 0))


def dots(rng: np.random.Generator) -> Picture:
    """Dots of one colour on another."""
    ground, dot = any_color(rng), any_color(rng)
    if rng.uniform() < 0.5:
        ground = hsv(rng.uniform(), 0.08, 0.95)
    count = int(rng.choice([4, 6, 8]))
    v, u = np.mgrid[0:_SIDE, 0:_SIDE] * count / _SIDE
    u = u + 0.5 * (v.astype(int) % 2)
    inside = np.hypot(u % 1 - 0.5, v % 1 - 0.5) < rng.uniform(0.15, 0.35)
    return picture(np.where(inside[..., None], dot, ground))


def checks(rng: np.random.Generator) -> Picture:
    """Woven checks."""
    ground, band = any_color(rng), any_color(rng)
    count = int(rng.choice([3, 4, 6]))
    on = (np.arange(_SIDE) * count / _SIDE % 1 < 0.5) * 0.5
    weight = (on[:, None] + on[None, :])[..., None]
    return picture(ground * (1 - weight) + band * weight)


def blotches(rng: np.random.Generator) -> Picture:
    """Irregular blotches of three colours: stone, marble, flowery cloth."""
    colors = np.stack([any_color(rng), any_color(rng), hsv(rng.uniform(), 0.1, 0.9)])
    field = noise(rng, int(rng.choice([6, 10, 16]))) + 0.3 * noise(rng, 32)
    low, high = np.quantile(field, [0.35, 0.7])
    return picture(colors[(field > low).astype(int) + (field > high)])


def stone(rng: np.random.Generator) -> Picture:
    """Speckled stone for worktops."""
    color = hsv(rng.uniform(), rng.uniform(0, 0.2), rng.uniform(0.15, 0.8))
    speckle = 0.7 + 0.6 * noise(rng, 64) * noise(rng, 128)
    return picture(color * speckle[..., None])


def floor(rng: np.random.Generator) -> Material:
    """A floor of planks, tiles or carpet."""
    return Material(_GREY, [planks, planks, tiles, carpet][rng.integers(4)](rng))


def wall(rng: np.random.Generator) -> Material:
    """A painted or papered wall."""
    return Material(_GREY, [plaster, plaster, plaster, stripes][rng.integers(4)](rng))


def wet_floor(rng: np.random.Generator) -> Material:
    """The floor of a bathroom or kitchen."""
    return Material(_GREY, tiles(rng))


def worktop(rng: np.random.Generator) -> Material:
    """The top of a kitchen counter, of stone or wood."""
    return Material(_GREY, (stone if rng.uniform() < 0.6 else planks)(rng))


def cloth(rng: np.random.Generator) -> Material:
    """Plain or patterned cloth."""
    if rng.uniform() < 0.35:
        return Material(any_color(rng).astype(np.float32))
    return Material(_GREY, [stripes, dots, checks, blotches][rng.integers(4)](rng))


def outdoors(rng: np.random.Generator) -> Material:
    """The view out of a window by day: sky above, something green or built below."""
    v = np.linspace(1, 0, _SIDE)[:, None]
    sky = hsv(rng.uniform(0.52, 0.62), rng.uniform(0.05, 0.45), 1.0)
    land = hsv(rng.uniform(0.05, 0.4), rng.uniform(0.1, 0.5), rng.uniform(0.3, 0.7))
    skyline = rng.uniform(0.2, 0.5) + 0.25 * (noise(rng, 8)[0] - 0.5)
    below = v < skyline
    textured = land * (0.6 + 0.6 * noise(rng, 24))[..., None]
    bright = sky * (1 - 0.25 * v[..., None]) * np.ones((1, _SIDE, 1))
    view = np.where(below[..., None], textured, bright)
    return Material(_GREY, picture(view), glow=float(rng.uniform(0.8, 1.6)))


def plain(rgb: NDArray[np.floating] | tuple[float, float, float]) -> Material:
    """A surface of one sRGB colour."""
    return Material(np.asarray(rgb, np.float32))


_GREY = np.full(3, 0.5, np.float32)
