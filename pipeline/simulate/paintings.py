"""Procedural paintings: landscapes, abstract fields, circles and portraits of nobody."""

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.patterns import any_color, hsv, noise, picture
from pipeline.simulate.world import Material

_H = _W = 128


def painting(rng: np.random.Generator) -> Material:
    """A painting in one of four styles."""
    draw = [_landscape, _fields, _circles, _portrait][rng.integers(4)]
    return Material(np.full(3, 0.5, np.float32), picture(draw(rng)))


def _grid() -> NDArray[np.float64]:
    return np.mgrid[0:_H, 0:_W] / _H


def _landscape(rng: np.random.Generator) -> NDArray[np.float64]:
    v, _ = _grid()
    near = hsv(rng.uniform(0.5, 1.1) % 1, rng.uniform(0.2, 0.7), 0.95)
    image = near * (0.6 + 0.4 * v[..., None])
    horizon = rng.uniform(0.3, 0.5)
    for layer in range(rng.integers(2, 5)):
        ridge = horizon + 0.15 * layer + 0.2 * (noise(rng, 4 + 2 * layer, _W)[0] - 0.5)
        color = hsv(rng.uniform(0.05, 0.6), rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.7))
        image = np.where((v > ridge)[..., None], color, image)
    return image * (0.85 + 0.3 * noise(rng, 32, _H))[..., None]


def _fields(rng: np.random.Generator) -> NDArray[np.float64]:
    image = np.ones((_H, _W, 3)) * hsv(rng.uniform(), 0.1, 0.92)
    for _ in range(rng.integers(4, 12)):
        top, left = rng.integers(0, _H - 16, 2)
        high, wide = rng.integers(12, 70, 2)
        image[top : top + high, left : left + wide] = any_color(rng)
        if rng.uniform() < 0.5:
            image[top : top + high, left : left + 3] = 0.05
            image[top : top + 3, left : left + wide] = 0.05
    return image


def _circles(rng: np.random.Generator) -> NDArray[np.float64]:
    v, u = _grid()
    image = np.ones((_H, _W, 3)) * any_color(rng)
    for _ in range(rng.integers(3, 10)):
        row, column = rng.uniform(size=2)
        inside = np.hypot(v - row, u - column) < rng.uniform(0.05, 0.35)
        image[inside] = any_color(rng)
    return image


def _portrait(rng: np.random.Generator) -> NDArray[np.float64]:
    v, u = _grid()
    image = np.ones((_H, _W, 3)) * hsv(rng.uniform(), 0.4, 0.4) * (0.6 + 0.5 * v[..., None])
    image[np.hypot((u - 0.5) / 1.3, v - 1.05) < 0.38] = any_color(rng)
    hair = np.hypot(u - 0.5, (v - 0.4) / 1.2) < 0.21
    image[hair] = hsv(rng.uniform(0, 0.1), 0.5, rng.uniform(0.05, 0.6))
    face = np.hypot(u - 0.5, (v - 0.44) / 1.3) < 0.155
    image[face] = hsv(rng.uniform(0.03, 0.09), rng.uniform(0.3, 0.6), rng.uniform(0.35, 0.95))
    return image
