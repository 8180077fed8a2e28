"""All textures of a world in one array with smaller copies, sampled by one lookup per pixel."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.world import Material

_LEVELS = 10  # 512 texels down to 1
_TO_LINEAR = (np.arange(256) / 255).astype(np.float32) ** np.float32(2.2)


class TextureStack:
    """The mip maps of a list of materials; a plain colour is a texture of one texel."""

    def __init__(self, materials: Sequence[Material]) -> None:
        texels: list[NDArray[np.uint8]] = []
        sizes, starts, start = [], [], 0
        for material in materials:
            level = material.texture
            if level is None:
                level = (np.asarray(material.color) * 255 + 0.5).astype(np.uint8)[None, None]
            for _ in range(_LEVELS):
                sizes.append(level.shape[:2])
                starts.append(start)
                if max(level.shape[:2]) > 1:
                    texels.append(level.reshape(-1, 3))
                    start += len(texels[-1])
                    level = _halved(level)
            # The last level is a single texel, shared by all following levels.
            texels.append(level.reshape(-1, 3))
            start += len(texels[-1])
        self._start = np.array(starts, np.int64)  # (materials * _LEVELS,)
        self._height, self._width = np.array(sizes, np.int64).reshape(-1, 2).T
        self._texels = _TO_LINEAR[np.concatenate(texels)]  # (texels, 3)

    def density(
        self,
        material: NDArray[np.int32],
        uv: NDArray[np.float32],
        area: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Texels per metre (T,) of faces with texture coordinates (T, 3, 2) and `area` in m²."""
        one, two = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
        uv_area = np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2
        texels = (self._height * self._width)[material * _LEVELS]
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
        entry = material * _LEVELS + np.minimum(level, _LEVELS - 1)
        color = self._texels[self._start[entry]]
        textured = np.flatnonzero(self._height[entry] * self._width[entry] > 1)
        entry, u, v = entry[textured], uv[textured, 0], uv[textured, 1]
        start, h, w = self._start[entry], self._height[entry], self._width[entry]
        x = ((u - np.floor(u)) * w - 0.5).astype(np.float32)
        y = ((np.ceil(v) - v) * h - 0.5).astype(np.float32)
        low_x, low_y = np.floor(x), np.floor(y)
        right, below = x - low_x, y - low_y
        x0, y0 = low_x.astype(np.int64), low_y.astype(np.int64)
        columns = x0 % w, (x0 + 1) % w  # textures repeat
        above = self._between(start + y0 % h * w, *columns, right)
        under = self._between(start + (y0 + 1) % h * w, *columns, right)
        color[textured] = above + below[:, None] * (under - above)
        return color

    def _between(
        self,
        row: NDArray[np.int64],
        one: NDArray[np.int64],
        two: NDArray[np.int64],
        share: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        left = self._texels.take(row + one, axis=0)
        return left + share[:, None] * (self._texels.take(row + two, axis=0) - left)


def _halved(texture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The texture at half its size (at least 1), by averaging; an odd last row or column is cut."""
    h, w = texture.shape[:2]
    rows, columns = max(h // 2, 1), max(w // 2, 1)
    high, wide = min(2, h), min(2, w)
    blocks = texture[: rows * high, : columns * wide].reshape(rows, high, columns, wide, 3)
    return blocks.mean((1, 3)).astype(np.uint8)
