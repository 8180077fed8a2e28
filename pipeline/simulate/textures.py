"""All textures of a world in one array, with smaller copies, so that one lookup serves any pixel."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.world import Material

_LEVELS = 10  # 512 texels down to 1
_TO_LINEAR = (np.arange(256) / 255).astype(np.float32) ** np.float32(2.2)


class TextureStack:
    """The mip maps of a list of materials; a plain colour is a texture of one texel."""

    def __init__(self, materials: Sequence[Material]) -> None:
        texels, start = [], 0
        self._start = np.zeros((len(materials), _LEVELS), np.int64)
        self._size = np.ones((len(materials), _LEVELS, 2), np.int64)  # (h, w)
        for index, material in enumerate(materials):
            if material.texture is None:
                level = (np.asarray(material.color) * 255 + 0.5).astype(np.uint8)[None, None]
            else:
                level = material.texture
            for depth in range(_LEVELS):
                self._start[index, depth] = start
                self._size[index, depth] = level.shape[:2]
                if depth + 1 == _LEVELS or max(level.shape[:2]) == 1:
                    self._start[index, depth:] = start
                    self._size[index, depth:] = level.shape[:2]
                    texels.append(level.reshape(-1, 3))
                    start += level.shape[0] * level.shape[1]
                    break
                texels.append(level.reshape(-1, 3))
                start += level.shape[0] * level.shape[1]
                level = _halved(level)
        self._texels = np.concatenate(texels) if texels else np.zeros((0, 3), np.uint8)

    def density(
        self,
        material: NDArray[np.int32],
        uv: NDArray[np.float32],
        area: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Texels per metre (T,) of faces with texture coordinates (T, 3, 2) and `area` in m²."""
        one, two = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
        uv_area = np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2
        texels = self._size[material, 0].prod(1)
        return np.sqrt(uv_area * texels / np.maximum(area, 1e-12)).astype(np.float32)

    def sample(
        self,
        material: NDArray[np.int32],
        uv: NDArray[np.float32],
        footprint: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Linear colour (n, 3) at `uv` (n, 2), bilinear in the level where a pixel that covers
        `footprint` texels of the full texture covers about one."""
        level = np.log2(np.maximum(footprint, 1)).round().astype(np.int64)
        level = np.minimum(level, _LEVELS - 1)
        start = self._start[material, level]
        h, w = self._size[material, level].T
        x = uv[:, 0] % 1 * w - 0.5
        y = (1 - uv[:, 1] % 1) * h - 0.5
        x0, y0 = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        fx, fy = (x - x0).astype(np.float32), (y - y0).astype(np.float32)
        color = np.zeros((len(uv), 3), np.float32)
        for dy, wy in ((0, 1 - fy), (1, fy)):
            row = start + (y0 + dy) % h * w
            for dx, wx in ((0, 1 - fx), (1, fx)):
                color += (wx * wy)[:, None] * _TO_LINEAR[self._texels[row + (x0 + dx) % w]]
        return color


def _halved(texture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The texture at half its size (at least 1), by averaging; an odd last row or column is cut."""
    h, w = texture.shape[:2]
    rows, columns = max(h // 2, 1), max(w // 2, 1)
    high, wide = min(2, h), min(2, w)
    blocks = texture[: rows * high, : columns * wide].reshape(rows, high, columns, wide, 3)
    return blocks.mean((1, 3)).astype(np.uint8)
