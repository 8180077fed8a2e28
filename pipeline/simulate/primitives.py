"""Boxes, quads and cloth: the parts of procedural things."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.world import Material, Shape


def quad(
    corners: NDArray[np.floating], material: Material, texture_size: tuple[float, float] = (1, 1)
) -> Shape:
    """A flat quad of 4 corners (4, 3), anticlockwise from its front, starting bottom left.

    The texture is repeated every `texture_size` metres (along the first and the second edge).
    """
    p = np.asarray(corners, np.float32)
    u = np.linalg.norm(p[1] - p[0]) / texture_size[0]
    v = np.linalg.norm(p[3] - p[0]) / texture_size[1]
    uv = np.array([[0, 0], [u, 0], [u, v], [0, v]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return Shape(p, faces, uv[faces], np.zeros(2, np.int32), (material,))


def box(
    low: Sequence[float], high: Sequence[float], material: Material, texture_size: float = 1.0
) -> Shape:
    """An axis-aligned box between two corners, its texture repeated every `texture_size` metres."""
    corners = np.array([low, high], np.float32)
    bits = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)])
    vertices = corners[bits, np.arange(3)]
    sides = np.array(  # anticlockwise from outside, bottom left first
        [[0, 1, 5, 4], [3, 2, 6, 7], [1, 3, 7, 5], [2, 0, 4, 6], [4, 5, 7, 6], [2, 3, 1, 0]]
    )
    faces, uv = [], []
    for side in sides:
        p = vertices[side]
        u = np.linalg.norm(p[1] - p[0]) / texture_size
        v = np.linalg.norm(p[3] - p[0]) / texture_size
        square = np.array([[0, 0], [u, 0], [u, v], [0, v]])
        for triangle in ([0, 1, 2], [0, 2, 3]):
            faces.append(side[triangle])
            uv.append(square[triangle])
    return Shape(
        vertices,
        np.array(faces, np.int32),
        np.array(uv, np.float32),
        np.zeros(12, np.int32),
        (material,),
    )


def sheet(
    surface: NDArray[np.floating], material: Material, repeat: tuple[float, float] = (1, 1)
) -> Shape:
    """A grid of points (rows, columns, 3), bottom row first, as a cloth with its texture repeated
    `repeat` times along columns and rows."""
    rows, columns = surface.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b = index[:-1, :-1].ravel(), index[:-1, 1:].ravel()
    c, d = index[1:, 1:].ravel(), index[1:, :-1].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    v, u = np.meshgrid(
        np.linspace(0, repeat[1], rows), np.linspace(0, repeat[0], columns), indexing="ij"
    )
    uv = np.stack([u, v], -1).reshape(-1, 2).astype(np.float32)
    return Shape(
        surface.reshape(-1, 3).astype(np.float32),
        faces,
        uv[faces],
        np.zeros(len(faces), np.int32),
        (material,),
    )
