"""Colour, depth and thing ids of a simulated room from any camera, by ray casting.

Light is a constant term that is stronger from above plus lamps with Lambert's law and shadows
(looked up at every second pixel of every second row, for speed); the exposure follows the
brightness of each picture, as a camera's does.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.simulate.raycast import Rays
from pipeline.simulate.textures import TextureStack
from pipeline.simulate.world import World

_MIDDLE_GREY = 0.32  # target of the mean linear brightness, before the shoulder
_STEPS = 4096
_TO_SRGB = (255 * (1 - np.exp(-np.linspace(0, 4, _STEPS))) ** (1 / 2.2) + 0.5).astype(np.uint8)
_SKIN = 2e-3  # metres between a surface and the start of its shadow rays


class Renderer:
    """Renders one world; its set-up is done once, so that each picture is cheap."""

    def __init__(self, world: World, threads: int = 1) -> None:
        self._world = world
        self._rays = Rays(world.vertices, world.faces, threads)
        corners = world.vertices[world.faces]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(cross, axis=1, keepdims=True)
        self._normal = (cross / np.maximum(length, 1e-12)).astype(np.float32)
        self._textures = TextureStack(world.materials)
        self._texels_per_metre = self._textures.density(
            world.face_material, world.face_uv, length[:, 0] / 2
        )
        self._glow = np.array([material.glow for material in world.materials], np.float32)

    def render(
        self,
        intrinsics: NDArray[np.floating],
        camera_to_world: NDArray[np.floating],
        size: tuple[int, int],
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int32]]:
        """Picture of `size` (w, h): colour u8 (h, w, 3), depth f32 (h, w) and thing i32 (h, w).

        `intrinsics` (3, 3) without skew and `camera_to_world` (4, 4) follow the project's
        conventions. Depth is z in metres, 0 where nothing is hit; there the thing is -1.
        """
        w, h = size
        rays = np.empty((w * h, 6), np.float32)
        rays[:, :3] = camera_to_world[:3, 3]
        rays[:, 3:] = _pixel_directions(intrinsics, size) @ camera_to_world[:3, :3].T
        t, face, weight = self._rays.first_hit(rays)
        hit = np.flatnonzero(face >= 0)
        face = face[hit]
        # A direction has z = 1 in the camera, so the ray parameter is the depth.
        depth = np.where(np.isfinite(t), t, 0).astype(np.float32)
        thing = np.full(w * h, -1, np.int32)
        thing[hit] = self._world.face_thing[face]

        light = np.zeros((w * h, 3), np.float32)
        pixel = depth[hit] / np.float32(intrinsics[0, 0])
        albedo = self._albedo(face, weight[hit], pixel)
        # Structure of arrays: numpy is several times faster on separate x, y and z.
        sight = np.ascontiguousarray(rays[hit, 3:].T)
        normal = np.ascontiguousarray(self._normal[face].T)
        # Surfaces are two-sided: the winding of catalogue models is inconsistent.
        normal *= -np.sign((normal * sight).sum(0))
        start = rays[hit, :3].T + depth[hit] * sight + np.float32(_SKIN) * normal
        glow = self._glow[self._world.face_material[face]]
        light[hit] = albedo * self._irradiance(start, normal, glow, hit, size).T
        color = _expose(light, self._world.exposure)
        return color.reshape(h, w, 3), depth.reshape(h, w), thing.reshape(h, w)

    def _albedo(
        self, face: NDArray[np.int64], barycentric: NDArray[np.float32], pixel: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Linear surface colour (n, 3) of hits whose pixels are `pixel` metres wide."""
        corner = self._world.face_uv[face]
        a, b = barycentric[:, :1], barycentric[:, 1:]
        uv = (1 - a - b) * corner[:, 0] + a * corner[:, 1] + b * corner[:, 2]
        footprint = self._texels_per_metre[face] * pixel
        return self._textures.sample(self._world.face_material[face], uv, footprint)

    def _irradiance(
        self,
        start: NDArray[np.float32],
        normal: NDArray[np.float32],
        glow: NDArray[np.float32],
        hit: NDArray[np.int64],
        size: tuple[int, int],
    ) -> NDArray[np.float32]:
        """Linear light (3, n) at points `start` (3, n) seen at pixels `hit` (n,)."""
        sky = np.float32(0.75) + np.float32(0.25) * normal[2]
        total = sky * np.array(self._world.ambient, np.float32)[:, None] + glow
        for lamp in self._world.lamps:
            to_lamp = np.array(lamp.position, np.float32)[:, None] - start
            squared = (to_lamp * to_lamp).sum(0)
            strength = (to_lamp * normal).sum(0) / np.sqrt(squared) / (squared + np.float32(0.5))
            lit = self._lit(start, to_lamp, strength > 0, hit, size)
            total += np.where(lit, strength, 0) * np.array(lamp.color, np.float32)[:, None]
        return total

    def _lit(
        self,
        start: NDArray[np.float32],
        to_lamp: NDArray[np.float32],
        faces_lamp: NDArray[np.bool_],
        hit: NDArray[np.int64],
        size: tuple[int, int],
    ) -> NDArray[np.bool_]:
        """Whether the lamp reaches each point, as found at one pixel of each block of 2 x 2."""
        w, h = size
        row, column = hit // w, hit % w
        asked = np.flatnonzero((row % 2 == 0) & (column % 2 == 0) & faces_lamp)
        blocked = self._rays.blocked(np.concatenate([start[:, asked], to_lamp[:, asked]]).T)
        shadow = np.zeros(((h + 1) // 2, (w + 1) // 2), bool)
        shadow[row[asked] // 2, column[asked] // 2] = blocked
        return faces_lamp & ~shadow[row // 2, column // 2]


def _pixel_directions(
    intrinsics: NDArray[np.floating], size: tuple[int, int]
) -> NDArray[np.float64]:
    """Camera-frame directions (w * h, 3) with z = 1 through the pixel centres, row by row."""
    column = (np.arange(size[0]) - intrinsics[0, 2]) / intrinsics[0, 0]
    row = (np.arange(size[1]) - intrinsics[1, 2]) / intrinsics[1, 1]
    x, y = np.meshgrid(column, row)
    return np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)


def _expose(light: NDArray[np.float32], exposure: float) -> NDArray[np.uint8]:
    """sRGB picture of linear `light` (n, 3), its mean brought to middle grey times `exposure`."""
    gain = exposure * _MIDDLE_GREY / max(float(light.mean()), 1e-6)
    step = np.minimum(light * (gain * (_STEPS - 1) / 4), _STEPS - 1)
    return _TO_SRGB[step.astype(np.int16)]
